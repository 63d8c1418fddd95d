"""Number of simultaneous associations that a peer allows, as far as known."""

import logging
from math import inf

from ..values import mutable

log = logging.getLogger(__name__)


@mutable
class AssociationLimit:
    """Maximum number of associations: the requested number, or the number that the peer allows.

    Fewer than `expected` deserve a warning. After a refusal, one more is requested every `interval`
    seconds, because a peer may be at its limit only temporarily. The mutable state is all other
    fields. The caller holds a lock.
    """

    requested: int
    interval: float
    expected: int = 0
    number: int = 0
    refusal: str = ""
    _requested_at: float = inf
    _is_logged: bool = False

    def __post_init__(self) -> None:
        """Start with the requested number."""
        self.number = self.requested

    def lower(self, number: int, refusal: str, now: float) -> None:
        """Record that the peer, at time `now`, allows no more than `number`."""
        self.number = max(1, number)
        self.refusal = self.refusal or refusal
        self._requested_at = now

    def reset(self) -> None:
        """Forget the limit, because there was no association at all meanwhile."""
        self.number = self.requested
        self.refusal = ""

    def may_request(self, now: float) -> bool:
        """Return whether it is time to request one more than the peer allowed."""
        return self.number < self.requested and now - self._requested_at >= self.interval

    def note_request(self, now: float) -> None:
        """Record that one more is requested."""
        self._requested_at = now

    def note_refusal(self, refusal: str) -> None:
        """Log that the peer still allows no more."""
        log.debug("Still %d of %d associations: %s", self.number, self.requested, refusal)

    def raise_to(self, number: int) -> None:
        """Record that the peer allows one more. The next can be requested immediately."""
        self.number = number
        self._requested_at = -inf
        if number >= self.requested:
            self.refusal = ""
        log.info("Now using %d of %d associations", number, self.requested)

    def log_once(self, number: int, refusal: str) -> None:
        """Log, the first time, that only `number` associations are used."""
        if not self._is_logged:
            self._is_logged = True
            log.log(
                logging.WARNING if number < self.expected else logging.INFO,
                "Continuing with %d of %d associations: %s",
                number,
                self.requested,
                refusal,
            )
