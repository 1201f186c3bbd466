"""Performance and capacity monitoring: what partitions use as time passes, and the documents that say so."""
