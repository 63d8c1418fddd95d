"""Access to a Flywheel site: select and download files, attach reports, write marks."""

from .source import FlywheelSource

__all__ = ["FlywheelSource"]
