"""Tests of the server check before the first image."""
