"""Simulated platforms: they stand in for the hardware and share no code with the clients they serve."""
