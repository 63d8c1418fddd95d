"""How fast the gear sends, and what it needs for it, measured beside other senders."""
