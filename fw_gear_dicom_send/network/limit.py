"""How many associations a peer gives at once, as far as it is known."""

import logging
from dataclasses import dataclass
from math import inf

log = logging.getLogger(__name__)


@dataclass
class AssociationLimit:
    """How many associations there may be: as many as are wished, or as the peer gives.

    One more is requested every `interval` seconds, as a peer may be at its limit for a while only.
    The mutable state is all the rest; who changes it has a lock.
    """

    wished: int
    interval: float
    number: int = 0
    refusal: str = ""
    _asked_at: float = inf
    _is_logged: bool = False

    def __post_init__(self) -> None:
        """Begin with as many as are wished."""
        self.number = self.wished

    def lower(self, number: int, refusal: str, now: float) -> None:
        """Note that the peer, at time `now`, gives no more than so many."""
        self.number = max(1, number)
        self.refusal = self.refusal or refusal
        self._asked_at = now

    def reset(self) -> None:
        """Forget it, as there was no association at all meanwhile."""
        self.number = self.wished
        self.refusal = ""

    def may_ask(self, now: float) -> bool:
        """Tell whether it is time to request one more than the peer gave."""
        return self.number < self.wished and now - self._asked_at >= self.interval

    def note_request(self, now: float) -> None:
        """Note that one more is requested."""
        self._asked_at = now

    def note_refusal(self, refusal: str) -> None:
        """Note that the peer still gives no more."""
        log.debug("Still %d of %d associations: %s", self.number, self.wished, refusal)

    def raise_to(self, number: int) -> None:
        """Note that the peer gives one more; the next one can be requested at once."""
        self.number = number
        self._asked_at = -inf
        if number >= self.wished:
            self.refusal = ""
        log.info("There are %d of %d associations now", number, self.wished)

    def tell(self, number: int, refusal: str) -> None:
        """Log once that there are only so many associations."""
        if not self._is_logged:
            self._is_logged = True
            log.warning("Going on with %d of %d associations: %s", number, self.wished, refusal)
