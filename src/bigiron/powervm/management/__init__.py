"""The management partition: the one that NovaLink runs in, where nova-compute runs too."""
