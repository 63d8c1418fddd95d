"""Senders: chooses the sender for the server of a configuration, and owns its resources."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .config import SendConfig
from .delivery.sender import Sender
from .dicom.conversion import Conversion
from .network import identity, tls
from .network.store import RESEND_POLICY, StorageSCU
from .network.throttle import Throttle
from .network.timeouts import DEFAULT_TIMEOUTS, Timeouts
from .network.transport import Transport, resolve
from .retry import RetryPolicy
from .text import MEGABYTE

if TYPE_CHECKING:
    from .network.commitment_listener import CommitmentListener


def connected(config: SendConfig) -> tuple[SendConfig, tls.TLSContext | None]:
    """Return the configuration with its user identity, and the TLS context.

    Raises ConfigError if the host is unknown, or if a certificate or the user identity is invalid.
    """
    resolve(config.peer)
    if config.identity:
        config = replace(config, user_identity=identity.read(config.identity))
    return config, tls.make_context(config.tls) if config.tls else None


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
    limit = config.bandwidth_limit
    with Conversion(work) as conversion:
        yield StorageSCU(
            config.peer,
            conversion,
            associations=config.associations,
            retry_time=config.send_retry_time,
            transport=Transport(
                context,
                replace(timeouts, response=config.response_timeout),
                Throttle(limit * MEGABYTE) if limit else None,
                config.tls.profile if config.tls else "",
            ),
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
