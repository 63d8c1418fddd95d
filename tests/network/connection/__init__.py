"""Tests of the connection of one association."""
