"""How long a run goes on without success."""

from math import inf
from time import monotonic

_SHARE_OF_ONE_IMAGE = 1 / 3


class Patience:
    """Ends when trouble has lasted for so many seconds; each success begins it anew."""

    def __init__(self, seconds: float) -> None:
        """Be patient for `seconds`; with 0 trouble is not borne at all."""
        self.seconds = seconds
        self._trouble_since: float | None = None
        self._renewed_at = -inf

    def renew(self) -> None:
        """Note a success."""
        self._renewed_at = monotonic()
        self._trouble_since = None

    def is_over(self) -> bool:
        """Note trouble, and tell whether it has lasted too long."""
        since = self._trouble_since or monotonic()
        self._trouble_since = since
        return monotonic() - since >= self.seconds

    def is_over_for_one(self, began_at: float, tried_at: float) -> bool:
        """Tell whether one image in trouble has had its share, so that others get theirs.

        Trouble that `began_at` some time is the image's own if there was a success since the
        image was last `tried_at`, both on the clock of `time.monotonic`. Else it is everybody's,
        and the image may take a third of the whole time.
        """
        is_its_own = self._renewed_at > tried_at
        return is_its_own or monotonic() - began_at >= self.seconds * _SHARE_OF_ONE_IMAGE

    def explain(self, reason: str) -> str:
        """Say that it is over, and what the last trouble was."""
        if not self.seconds:
            return reason
        return f"the server was given up after {self.seconds:.0f} s of trouble: {reason}"
