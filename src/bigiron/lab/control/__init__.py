"""Launchers of the control plane: one process per OpenStack project, natively threaded, served by cheroot."""
