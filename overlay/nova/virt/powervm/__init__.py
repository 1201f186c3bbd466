"""Keeps the name under which existing PowerVM clouds load their compute driver."""
