"""Sender for a DICOMweb server (PS3.18 10.5)."""

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from math import inf

from ..delivery.deliver import Delivery
from ..delivery.results import RUN_ENDED, StoreResult, Suspect
from ..delivery.sender import Finder, Inquirer, Parallel, SenderFacts, Why
from ..dicom.types import SOPInstance
from ..network.transport import Transport
from ..option_values import Auto, ConversionMode, OnConflict
from ..retry import RetryBudget, RetryPolicy
from ..sections import Section
from ..server_url import ServerURL
from ..values import replace
from . import preflight
from .attempts import Convert, StowAttempts
from .authorization import Authorization
from .batches import AUTO_IMAGES, SHARING
from .credentials import NO_CREDENTIALS, Credentials
from .inquiry import ContentInquirer, QueryInquirer
from .preflight import WebServer
from .service import WebService

log = logging.getLogger(__name__)


class WebSender:
    """Sender that opens connections as the images need them."""

    def __init__(
        self,
        url: ServerURL,
        convert: Convert,
        *,
        transport: Transport,
        policy: RetryPolicy,
        credentials: Credentials = NO_CREDENTIALS,
        connections: int = 1,
        retry_time: float = 300,
        is_dry: bool = False,
        conversion: ConversionMode = ConversionMode.WHEN_NEEDED,
        has_checksums: bool = False,
        on_conflict: OnConflict = OnConflict.REPORT,
        max_images: int | Auto = 1,
    ) -> None:
        """Prepare to send to the server at `url`.

        Args:
            url: Base URL of the server.
            convert: Changes the transfer syntax of an image.
            transport: TLS, timeouts and rate limit of all connections.
            policy: Waits while the server is at fault.
            credentials: Credentials for the server.
            connections: Number of connections at the same time, 0 if it is automatic.
            retry_time: Seconds to continue without an accepted image.
            is_dry: Whether to do everything except the store requests.
            conversion: When to change transfer syntaxes.
            has_checksums: Whether results have checksums of converted datasets, for `content`.
            on_conflict: Whether to replace an image that is in the way.
            max_images: Maximum number of images in a request; the check decides `Auto`.

        Raises ConfigError for an unusable proxy.
        """
        self._transport = transport
        self._check_policy = replace(policy, max_time=retry_time)
        budget = RetryBudget(retry_time, policy.clock)
        self._parallel = Parallel.of(connections)
        self._service = WebService(
            url,
            Authorization(credentials, transport),
            number=self._parallel.most,
            budget=budget,
            transport=transport,
            policy=policy,
        )
        self.attempts = StowAttempts(
            self._service,
            convert,
            response_timeout=transport.timeouts.response,
            conversion=conversion,
            is_dry=is_dry,
            has_checksums=has_checksums,
            on_conflict=on_conflict,
        )
        self.health = Delivery(
            self.attempts, self._service.pool, self._parallel.assured, budget, policy
        )
        self._is_auto = isinstance(max_images, Auto)
        self._share(1 if isinstance(max_images, Auto) else max_images)

    @property
    def images_per_request(self) -> int:
        """Maximum number of images that share a request, as the check decides."""
        return self.attempts.batches.max_images

    def check(self, first: tuple[str, str] | None = None) -> None:  # noqa: ARG002
        """Check that the server accepts store requests, and decide whether images share them.

        Raises ServerError, whose message says what to check.
        """
        server = self.examine()
        if self._is_auto and preflight.is_distant(self._service, server, self._check_policy):
            log.info("The server is distant: up to %d images share a request", AUTO_IMAGES)
            self._share(AUTO_IMAGES)

    def _share(self, max_images: int) -> None:
        """Let up to `max_images` share a request. All threads may wait for the same answer."""
        self.attempts.batches.max_images = max_images
        threads = self._parallel.threads(max_images)
        self.health.expect(threads.assured)
        if threads.why is Why.SHARED:
            self._service.pool.restrict(SHARING)

    def examine(self) -> WebServer:
        """Return the properties of the server; raises ServerError as `check` does."""
        return preflight.check(self._service, self._check_policy)

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> StoreResult | Suspect:
        """Send one image, with retries. Several threads may call this at the same time."""
        return self.health.send(instance, earlier)

    def study(
        self,
        study_instance_uid: str,  # noqa: ARG002
        encodings: Iterable[tuple[str, str]],  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Do nothing: requests are independent, so no study needs a connection of its own."""
        return nullcontext()

    def inquirer(self, method: str) -> Inquirer:
        """Return the inquirer by QIDO-RS for `find`, and that by WADO-RS for `content`."""
        return QueryInquirer(self._service) if method == "find" else ContentInquirer(self._service)

    def finder(self, timeout: float = inf) -> Finder:
        """Return the inquirer by QIDO-RS, which waits for `timeout` seconds at most."""
        return QueryInquirer(self._service, timeout)

    def facts(self) -> SenderFacts:
        """Return the current facts."""
        throttle, health = self._transport.throttle, self.health
        return SenderFacts(
            connections=self._service.pool.open_connections,
            max_rate=throttle.rate if throttle else 0.0,
            retries=health.retries,
            losses=health.losses,
            lost_at=tuple(health.lost_at),
            is_away=health.is_at_fault,
            given_up=None if health.given_up is RUN_ENDED else health.given_up,
            peak=self._service.pool.peak,
            is_refused=self._service.pool.is_limited,
        )

    def sections(self) -> tuple[Section, ...]:
        """Return no section: a connection has no facts of its own."""
        return ()

    def trim(self, number: int) -> None:
        """Do nothing: servers close idle connections themselves."""

    def finish(self) -> None:
        """Let current requests finish, and start no more."""
        self._service.pool.give_up(RUN_ENDED)

    def close(self) -> None:
        """Close the connections."""
        self._service.pool.close()

    def abort(self) -> None:
        """Abort the connections and their current requests."""
        self._service.pool.abort()
