"""Helpers shared by the tests and the demo: servers, sample files and the gear's folder."""
