"""Test of a DICOMweb server by `dicom-send echo` and `dicom-send servers`."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import SendConfig
from ..dicom.conversion import Conversion
from ..errors import ExitCode
from ..network.types import TLSSession
from ..server_url import ServerURL
from ..text import day
from ..values import frozen, replace
from .matrix import wrapped

if TYPE_CHECKING:
    from ..dicomweb.preflight import WebServer
    from ..network.tls import TLSContext

_RETRY_TIME = 10.0


@frozen
class WebCapabilities:
    """Capabilities of a DICOMweb server; `is_verified` says whether its certificate was."""

    url: ServerURL
    server: "WebServer"
    is_verified: bool
    exit_code = ExitCode.SUCCESS

    def summary(self) -> dict[str, Any]:
        """Return the capabilities as JSON."""
        server, can_query = self.server, self.server.query.is_success
        return {
            "error": None,
            "protocol": "DICOMweb",
            "url": str(self.url),
            "product": server.product,
            "tls": tls_summary(server.tls, is_verified=self.is_verified),
            "query_status": server.query.status,
            "store_status": server.store.status,
            "store_seconds": server.store_seconds,
            "can": {"verify_find": can_query, "skip_existing": can_query},
        }

    @property
    def result(self) -> str:
        """The result of a store request without an image, with its duration."""
        server = self.server
        seconds = server.store_seconds * 1000
        return f"STOW-RS: {server.store.words} without an image, in {seconds:.1f} ms"

    def lines(self, *, is_full: bool) -> Iterator[str]:  # noqa: ARG002
        """Yield the capabilities as lines of 80 columns."""
        server = self.server
        yield f"{self.url} accepts store requests"
        yield from wrapped("Server: ", server.product or "unnamed", indent=4)
        yield from security(server.tls, is_verified=self.is_verified)
        yield self.result
        can_query = server.query.is_success
        yield f"QIDO-RS: {'success' if can_query else server.query.words}"
        possible = "possible" if can_query else "not possible without QIDO-RS"
        yield f"verify find, skip_existing: {possible}"


def examine(config: SendConfig, url: ServerURL, context: "TLSContext | None") -> WebCapabilities:
    """Return the capabilities of a server; nothing is stored. Raises DicomSendError."""
    from .. import senders

    config = replace(config, send_retry_time=_RETRY_TIME)
    sender = senders.web_sender(config, url, Conversion(Path()), context)
    with closing(sender):
        return WebCapabilities(url, sender.examine(), config.tls_require_peer_cert)


def security(session: TLSSession | None, *, is_verified: bool) -> Iterator[str]:
    """Yield lines about the TLS session."""
    if not session:
        yield "TLS: not used"
        return
    yield f"TLS: {session.version} with {session.cipher}"
    verified = "verified" if is_verified else "not verified (any is accepted)"
    yield from wrapped(
        "Certificate: ",
        f"{session.subject}, issued by {session.issuer}, valid until "
        f"{day(session.expires)}; {verified}",
        indent=4,
    )


def tls_summary(session: TLSSession | None, *, is_verified: bool) -> dict[str, Any] | None:
    """Return a TLS session as JSON."""
    if not session:
        return None
    return {
        **vars(session),
        "expires": session.expires and session.expires.isoformat(),
        "is_verified": is_verified,
    }
