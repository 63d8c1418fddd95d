"""The user identity: read, encoded, sent and answered."""
