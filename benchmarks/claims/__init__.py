"""Single claims about the gear, each measured and held against its bound."""
