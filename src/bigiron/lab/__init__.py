"""The lab: a real OpenStack on one small machine, as an ordinary user, on loopback addresses only."""
