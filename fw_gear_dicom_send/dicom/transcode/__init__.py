"""Other transfer syntaxes, for servers that do not accept that of an image, or for slow links."""

from .compressor import compress
from .converter import convert
from .decoders import FrameDecoders
from .encoders import FrameEncoders

__all__ = ["FrameDecoders", "FrameEncoders", "compress", "convert"]
