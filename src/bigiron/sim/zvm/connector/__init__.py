"""The real z/VM Cloud Connector server: its files, its processes, and how its commands reach the simulated z/VM."""
