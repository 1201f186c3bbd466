"""The Linux that the Cloud Connector runs in: the programs that its server calls beside SMAPI and CP."""
