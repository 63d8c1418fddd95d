"""Test of an installed wheel."""
