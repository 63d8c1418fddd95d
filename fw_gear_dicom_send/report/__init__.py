"""What a run tells: as it goes, and at its end."""
