"""Tests of the user identity."""
