"""Tests of the stand-in Flywheel site."""
