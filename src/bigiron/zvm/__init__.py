"""z/VM, through the REST API of the z/VM Cloud Connector (Feilong)."""
