"""The bytes of a dataset: where it starts, what it holds, and the private element in it."""

from .part10 import skips
from .types import EncodedDataset, PrivateTag, SOPInstance, Span, Unreadable

__all__ = ["EncodedDataset", "PrivateTag", "SOPInstance", "Span", "Unreadable", "skips"]
