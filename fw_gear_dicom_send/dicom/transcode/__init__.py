"""Other transfer syntaxes, for servers that do not accept that of an image."""

from .converter import convert

__all__ = ["convert"]
