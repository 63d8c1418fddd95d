"""Steps of a run: fetch, unpack, stamp, send, verify and report."""

from .pipeline import Waits, run

__all__ = ["Waits", "run"]
