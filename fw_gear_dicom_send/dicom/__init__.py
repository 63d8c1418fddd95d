"""The bytes of a dataset: its start, its elements, and the private element in it."""

from .part10 import skips
from .types import EncodedDataset, PrivateTag, SOPInstance, Span, Unreadable

__all__ = ["EncodedDataset", "PrivateTag", "SOPInstance", "Span", "Unreadable", "skips"]
