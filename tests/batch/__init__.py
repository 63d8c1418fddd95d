"""Tests of the `batch` package."""
