"""Transfer syntax conversion, for servers that reject an image's own syntax, or for slow links."""

from .compressor import compress
from .converter import convert
from .frame_codecs import FrameDecoders, FrameEncoders

__all__ = ["FrameDecoders", "FrameEncoders", "compress", "convert"]
