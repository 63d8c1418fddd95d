"""Tests of the stand-in for a Flywheel site."""
