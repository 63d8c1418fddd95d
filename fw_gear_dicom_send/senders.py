"""Senders: chooses the sender for the server of a configuration, and owns its resources."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .bandwidth import Timetable
from .config import SendConfig
from .delivery.sender import Sender
from .dicom.conversion import Conversion
from .network import identity
from .network.store import RESEND_POLICY, StorageSCU
from .network.throttle import Throttle
from .network.timeouts import DEFAULT_TIMEOUTS, Timeouts
from .network.transport import Transport
from .network.types import TLSConfig
from .retry import RetryPolicy
from .server_url import ServerURL
from .text import MEGABYTE
from .values import replace

if TYPE_CHECKING:
    from .dicomweb.stow import WebSender
    from .network.commitment_listener import CommitmentListener
    from .network.tls import TLSContext


def connected(config: SendConfig) -> "tuple[SendConfig, TLSContext | None]":
    """Return the configuration with its user identity, and the TLS context.

    Raises ConfigError if a certificate or the user identity is invalid.
    """
    if config.identity:
        config = replace(config, user_identity=identity.read(config.identity))
    return config, _context(config.tls) if config.tls else None


@contextmanager
def of(
    config: SendConfig,
    work: Path,
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    resend: RetryPolicy = RESEND_POLICY,
    listener: "CommitmentListener | None" = None,
) -> Iterator[Sender]:
    """Yield the sender for the server of `config`; at the end, stop its conversions.

    Images are converted in the folder `work`. `resend` has the waits while the server is at fault.
    A `listener` receives storage commitment reports over associations that the server opens.
    Raises ConfigError as `connected` does.
    """
    config, context = connected(config)
    with Conversion(work) as conversion:
        if isinstance(config.address, ServerURL):
            url = config.address
            yield web_sender(config, url, conversion, context, timeouts=timeouts, policy=resend)
            return
        yield StorageSCU(
            config.address,
            conversion,
            associations=config.associations,
            retry_time=config.send_retry_time,
            transport=_transport(config, context, timeouts),
            is_dry=config.dry_run,
            conversion=config.conversion,
            policy=resend,
            has_study_associations=config.association_per_study,
            max_images=config.max_images_per_association,
            query_peer=config.query_peer,
            queries=_queries(config),
            listener=listener,
        )


def _queries(config: SendConfig) -> set[str]:
    """Return the methods of queries that a run needs. A dry run verifies nothing."""
    verify = "none" if config.dry_run else config.verify
    return {verify} - {"none"} | ({"find"} if config.skip_existing else set())


def web_sender(
    config: SendConfig,
    url: ServerURL,
    conversion: Conversion,
    context: "TLSContext | None",
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    policy: RetryPolicy = RESEND_POLICY,
) -> "WebSender":
    """Return the sender for a DICOMweb server.

    Raises ConfigError if the credentials or a proxy are invalid.
    """
    # Most runs send by C-STORE.
    from .dicomweb import credentials
    from .dicomweb.stow import WebSender

    known: credentials.Credentials = credentials.NO_CREDENTIALS
    if config.authorization:
        known = credentials.read(config.authorization, is_open=config.identity_without_tls)
    if not context and isinstance(known, credentials.TokenSource) and known.url.is_secure:
        secured = replace(config, tls_enabled=True).tls
        context = _context(secured) if secured else None
    transport = _transport(config, context, timeouts)
    return WebSender(
        url,
        conversion,
        transport=transport,
        policy=policy,
        credentials=known,
        connections=config.associations,
        retry_time=config.send_retry_time,
        is_dry=config.dry_run,
        conversion=config.conversion,
        has_checksums=config.verify == "content",
        on_conflict=config.on_conflict,
        max_images=config.images_per_request,
    )


def _context(config: TLSConfig) -> "TLSContext":
    from .network.tls import make_context  # it imports ssl

    return make_context(config)


def _transport(config: SendConfig, context: "TLSContext | None", timeouts: Timeouts) -> Transport:
    throttle = None
    if config.bandwidth_limit:
        throttle = Throttle(_rate(config.bandwidth_limit))
    return Transport(
        context,
        replace(timeouts, response=config.response_timeout),
        throttle,
    )


def _rate(limit: float | str) -> float | Callable[[], float]:
    """Return a rate in bytes per second, or a function that returns it by a timetable."""
    if not isinstance(limit, str):
        return limit * MEGABYTE
    timetable = Timetable(limit)
    return lambda: timetable.limit(datetime.now()) * MEGABYTE
