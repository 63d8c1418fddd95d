"""Tests of sending images."""
