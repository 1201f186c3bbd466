"""What guests use, from the statistics of the Cloud Connector."""
