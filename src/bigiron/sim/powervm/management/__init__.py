"""The management partition: the commands and files that NovaLink software finds beside the REST API."""
