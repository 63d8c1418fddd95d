"""A long run of images through a server that breaks in every way that it can."""
