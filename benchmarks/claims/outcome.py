"""Outcome of a measurement."""

from dataclasses import dataclass


class MeasurementError(Exception):
    """A claim could not be measured, because not all images were sent."""


@dataclass(frozen=True)
class Outcome:
    """Claim with its limit, the measured value, and whether it is true.

    `details` are additional lines for information.
    """

    claim: str
    bound: str
    measured: str
    holds: bool
    details: tuple[str, ...] = ()
