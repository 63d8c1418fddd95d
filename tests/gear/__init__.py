"""Tests of whole runs of the gear."""
