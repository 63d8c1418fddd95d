"""Tests of the `flywheel` package."""
