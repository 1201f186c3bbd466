"""Where guests' disks come from: a shared storage pool, or a volume group of one VIOS."""
