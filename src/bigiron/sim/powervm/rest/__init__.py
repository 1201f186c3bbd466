"""The REST front: what clients of the PowerVM REST API see on the wire."""
