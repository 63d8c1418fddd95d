"""Fixture of the DICOM tests: fuzzing."""

from tests.support.fuzzing import fuzz

__all__ = ["fuzz"]
