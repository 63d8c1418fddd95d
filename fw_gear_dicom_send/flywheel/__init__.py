"""Access to a Flywheel site: select and download files, attach reports, write marks."""

from .marks import QC_NAME
from .site import find_server
from .source import FlywheelSource

__all__ = ["QC_NAME", "FlywheelSource", "find_server"]
