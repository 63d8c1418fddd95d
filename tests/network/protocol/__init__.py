"""The upper layer without a network."""
