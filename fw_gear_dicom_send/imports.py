"""Lock for imports during a run, by threads that need the same library at the same time."""

from threading import RLock

IMPORTING = RLock()
"""Held while pydicom or pynetdicom is imported.

Their modules import each other. If two threads start with different modules, each waits for the
other, until Python breaks the deadlock with a partly initialized module.
"""
