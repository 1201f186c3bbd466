"""What every simulator needs, whatever it simulates: time, latency, faults, a journal, state on disk, serving."""
