"""What came out of a measurement."""

from dataclasses import dataclass


class MeasurementError(Exception):
    """A claim could not be measured, since what should have been sent was not."""


@dataclass(frozen=True)
class Outcome:
    """A claim, what it allows, what was measured, and whether the claim holds.

    `details` are further lines that are worth seeing, but no part of the claim.
    """

    claim: str
    bound: str
    measured: str
    holds: bool
    details: tuple[str, ...] = ()
