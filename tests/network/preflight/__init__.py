"""The check of a server before the first image."""
