"""Storage SCPs for tests, one module for each kind."""
