"""The Linux in a guest, as far as the Cloud Connector sees it: its boot, its activation engine, its IUCV server."""
