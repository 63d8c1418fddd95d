"""Tests of the upper layer without a network."""
