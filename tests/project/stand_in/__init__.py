"""Tests of the stand-in site and its engine."""
