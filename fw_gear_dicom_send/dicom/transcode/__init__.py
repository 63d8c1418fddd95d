"""Other transfer syntaxes, for servers that do not accept that of an image."""

from .converter import convert
from .decoders import FrameDecoders

__all__ = ["FrameDecoders", "convert"]
