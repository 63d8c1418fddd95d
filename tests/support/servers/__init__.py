"""Storage SCPs to send to, a module each kind."""
