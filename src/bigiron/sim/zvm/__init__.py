"""A simulated z/VM: CP, the user directory and SMAPI, underneath the real z/VM Cloud Connector server."""
