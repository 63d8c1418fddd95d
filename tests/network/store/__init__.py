"""Sending images."""
