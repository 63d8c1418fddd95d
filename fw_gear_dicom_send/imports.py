"""Imports in the middle of a run, by threads that may need the same library at the same time."""

from threading import RLock

IMPORTING = RLock()
"""Held while pydicom or pynetdicom is imported.

Their modules import each other: where two threads begin with different ones, each waits for what
the other has begun, until Python gives it a module that is half made.
"""
