"""Individual claims about the gear, each measured and compared with its limit."""
