"""What the tests and the demo share: servers, sample files and the gear's folder."""
