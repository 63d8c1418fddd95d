"""How long a run goes on without success."""

from time import monotonic


class Patience:
    """Ends when trouble has lasted for so many seconds; each success begins it anew."""

    def __init__(self, seconds: float) -> None:
        """Be patient for `seconds`; with 0 trouble is not borne at all."""
        self.seconds = seconds
        self._trouble_since: float | None = None

    def renew(self) -> None:
        """Note a success."""
        self._trouble_since = None

    def is_over(self) -> bool:
        """Note trouble, and tell whether it has lasted too long."""
        since = self._trouble_since or monotonic()
        self._trouble_since = since
        return monotonic() - since >= self.seconds

    def explain(self, reason: str) -> str:
        """Say that it is over, and what the last trouble was."""
        if not self.seconds:
            return reason
        return f"the server was given up after {self.seconds:.0f} s of trouble: {reason}"
