"""Tests of several associations in parallel."""
