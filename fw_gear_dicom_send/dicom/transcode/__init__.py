"""Transfer syntax conversion, for servers that reject an image's own syntax, or for slow links."""

from .compressor import compress
from .converter import convert
from .decoders import FrameDecoders
from .encoders import FrameEncoders

__all__ = ["FrameDecoders", "FrameEncoders", "compress", "convert"]
