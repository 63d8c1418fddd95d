"""The connection of one association."""
