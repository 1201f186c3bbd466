"""What `make bench` measures: remote calls, bytes and ratios within one run; absolute seconds stand beside them."""
