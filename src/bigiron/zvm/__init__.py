"""z/VM, on the REST API of the z/VM Cloud Connector."""
