"""Access to a Flywheel site: select and download files, attach reports, write marks."""

from .site import find_server
from .source import FlywheelSource

__all__ = ["FlywheelSource", "find_server"]
