"""Guests' consoles: each partition has one virtual terminal, which is recorded to a log or shown by VNC."""
