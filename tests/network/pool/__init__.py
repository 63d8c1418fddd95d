"""Several associations at once."""
