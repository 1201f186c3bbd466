"""What the host and its guests use, from the platform's long-term monitor (the PCM service of the REST API)."""
