"""The run: fetch, unpack, stamp, send, verify and report."""

from .pipeline import run

__all__ = ["run"]
