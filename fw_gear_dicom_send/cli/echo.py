"""`dicom-send echo`: tests a connection, and lists the syntaxes and services of a server."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config import SendConfig
from ..dicom.uids import PATIENT_ROOT_FIND, STORAGE_COMMITMENT, STUDY_ROOT_FIND
from ..errors import DicomSendError, ExitCode
from ..network.types import PeerAE, ServerInfo, ServiceAnswer
from ..option_types import Group, Place
from ..options import OPTIONS
from ..server_url import ServerURL
from ..text import quantity
from ..values import frozen, replace
from . import options, settings
from .command_options import ROWS
from .completion import COMPLETE_SERVER
from .console import write, write_json
from .help import add_version
from .matrix import AcceptedSyntaxes, by_class, common, wrapped
from .parser import Arguments, Parser, is_on
from .suggestions import own_form
from .web_echo import WebCapabilities, examine, security, tls_summary

if TYPE_CHECKING:
    from ..network.contexts import Context
    from ..network.tls import TLSContext

DESCRIPTION = """\
Test the connection to a DICOM server with a C-ECHO. More associations then
check which storage SOP classes and transfer syntaxes the server accepts, and
whether it supports C-FIND and storage commitment (for --verify). No images are
sent, and nothing on the server changes.

A DICOMweb server (a URL) gets a query and a store request without an image.
"""
EPILOG = """\
exit codes:
  0  the C-ECHO succeeded
  1  the C-ECHO failed
  2  the command line is invalid
  3  no connection, or association rejected
"""
SUCCESS = 0
_JSON = replace(ROWS["json"], text="Print the result as JSON.")
_QUIET = replace(ROWS["quiet"], text="Print only the result of the C-ECHO, and errors.")
_VERBOSE = replace(
    next(row for row in OPTIONS if row.name == "debug"),
    command="Show all SOP classes and transfer syntaxes.",
)

_SERVICES = {
    STUDY_ROOT_FIND: ("find_study_root", "C-FIND (Study Root)"),
    PATIENT_ROOT_FIND: ("find_patient_root", "C-FIND (Patient Root)"),
    STORAGE_COMMITMENT: ("storage_commitment", "Storage commitment"),
}
"""Name in JSON and title of each service."""
_NEEDS = {
    "verify_find": STUDY_ROOT_FIND,
    "skip_existing": STUDY_ROOT_FIND,
    "verify_commit": STORAGE_COMMITMENT,
}
"""Service that each option needs. The gear queries with Study Root."""


def main(argv: Sequence[str]) -> int:
    """Run the command line after `echo`, and return the exit code.

    Raises DicomSendError if the command line is invalid or there is no association.
    """
    try:
        with own_form(["echo", *argv]):
            return _test(parser().read(argv))
    except DicomSendError as exc:
        if is_on(_JSON, argv):
            write_json({"error": str(exc), "exit_code": exc.exit_code})
        raise


def parser() -> Parser:
    """Return the parser of the command line after `echo`."""
    command = Parser("dicom-send echo", DESCRIPTION, EPILOG)
    command.add_argument(
        "words",
        nargs="?",
        metavar="AE@HOST:PORT",
        help="The server (a URL for DICOMweb), or its name in servers.toml. Options can name it "
        "instead.",
    ).complete = COMPLETE_SERVER  # type: ignore[attr-defined]
    for group in (Group.SERVER, Group.TLS):
        rows = [row for row in (*OPTIONS, ROWS["server"]) if row.group is group]
        command.add_options(group.title, [row for row in rows if row.where & Place.COMMAND])
    command.add_options("result", [_JSON, _QUIET, _VERBOSE])
    add_version(command)
    return command


def _test(arguments: Arguments) -> int:
    """Test the server and write the results; return the exit code."""
    if arguments.values.get("quiet"):
        logging.getLogger().setLevel(logging.ERROR)
    if any(map(os.path.lexists, arguments.words)):  # a server, whatever the folder has
        named = {"server": arguments.words[0]}
        typed = arguments.typed | named.keys()
        arguments = replace(arguments, words=(), values={**arguments.values, **named}, typed=typed)
    chosen = settings.read(arguments)
    with options.naming(chosen.origins):
        config = chosen.config()
        # The network modules take long to import, and neither --help nor an error above needs them.
        from .. import senders

        config, context = senders.connected(config)
        if isinstance(config.address, ServerURL):
            found: _Capabilities | WebCapabilities = examine(config, config.address, context)
        else:
            found = _examine(config, config.address, context)
    if arguments.values.get("json"):
        write_json(found.summary())
    elif arguments.values.get("quiet"):
        write(f"{found.result}\n")
    else:
        lines = found.lines(is_full=bool(arguments.values.get("debug")))
        write("".join(f"{line}\n" for line in lines))
    return found.exit_code


def _examine(config: SendConfig, peer: PeerAE, context: "TLSContext | None") -> "_Capabilities":
    """Return the capabilities of a server by C-STORE. Raises ServerError."""
    from ..network import preflight
    from ..network.contexts import storage_contexts

    server_info = preflight.check(peer, context)
    proposed = storage_contexts()
    accepted = preflight.accepted(peer, proposed, context)
    first_accepted = [pair for pair in proposed if pair in accepted][:1]
    answers = preflight.services(peer, first_accepted, context)
    return _Capabilities(
        peer,
        server_info,
        is_verified=config.tls_require_peer_cert,
        services={answer.sop_class_uid: answer for answer in answers},
        accepted=_by_class(proposed, accepted),
        proposed=list(dict.fromkeys(pair.transfer_syntax for pair in proposed)),
    )


def _by_class(proposed: Sequence["Context"], accepted: frozenset["Context"]) -> AcceptedSyntaxes:
    """Return the accepted transfer syntaxes of each SOP class."""
    found: dict[str, tuple[str, ...]] = {}
    for context in proposed:
        before = found.setdefault(context.abstract_syntax, ())
        if context in accepted:
            found[context.abstract_syntax] = (*before, context.transfer_syntax)
    return found


@frozen
class _Capabilities:
    """Capabilities of a server.

    `is_verified` says whether its certificate was verified. `proposed` are transfer syntaxes.
    """

    server: PeerAE
    server_info: ServerInfo
    is_verified: bool
    services: Mapping[str, ServiceAnswer]
    accepted: AcceptedSyntaxes
    proposed: Sequence[str]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the test."""
        is_success = self.server_info.echo_status == SUCCESS
        return ExitCode.SUCCESS if is_success else ExitCode.NOT_ALL_SENT

    def summary(self) -> dict[str, Any]:
        """Return the capabilities as JSON."""
        tls = tls_summary(self.server_info.tls, is_verified=self.is_verified)
        facts = dict(vars(self.server_info))
        return {
            "error": None,
            # Scripts rely on this key.
            "longest_pdu": facts.pop("max_pdu_length"),
            **facts,
            "tls": tls,
            "accepted": {uid: list(syntaxes) for uid, syntaxes in self.accepted.items()},
            "services": {name: vars(self.services[uid]) for uid, (name, _) in _SERVICES.items()},
            "can": {option: self._offers(uid) for option, uid in _NEEDS.items()},
        }

    @property
    def result(self) -> str:
        """The result of the C-ECHO with its duration."""
        return f"C-ECHO: {echo_result(self.server_info)}"

    def lines(self, *, is_full: bool) -> Iterator[str]:
        """Yield the capabilities as lines of 80 columns, if `is_full` for all SOP classes."""
        server, server_info = self.server, self.server_info
        name = server_info.implementation or "unnamed"
        uid = f" ({server_info.class_uid})" if server_info.class_uid not in ("", name) else ""
        limit = server_info.max_pdu_length
        size = quantity(limit, "byte") if limit else "unlimited"
        yield f"{server.called_ae} at {server.host} port {server.port} accepts an association"
        yield from wrapped("Implementation: ", f"{name}{uid}; maximum PDU length: {size}", indent=4)
        yield from self._security()
        yield self.result
        yield ""
        for uid, (_, title) in _SERVICES.items():
            answer = self.services[uid]
            alone = ", but only in a separate association" if answer.is_alone else ""
            offer = f"accepted{alone}" if answer.is_accepted else f"not accepted: {answer.refusal}"
            yield from wrapped(f"{title}: ", offer, indent=4)
        find = self._possible("verify_find")
        if self._offers(STUDY_ROOT_FIND):
            find += f", if the server answers queries of {server.calling_ae}"
        yield from wrapped("verify find, skip_existing: ", find, indent=4)
        commit = self._possible("verify_commit")
        if self._offers(STORAGE_COMMITMENT):
            commit += ", if the server reports over the same association; else use --commit-port"
        yield from wrapped("verify commit: ", commit, indent=4)
        yield ""
        yield from by_class(self.accepted, self.proposed) if is_full else common(self.accepted)

    def _security(self) -> Iterator[str]:
        yield from security(self.server_info.tls, is_verified=self.is_verified)
        confirms = self.server_info.confirms_identity
        if confirms is not None:
            yield "User identity: " + (
                "confirmed" if confirms else "sent, but not confirmed; the server may ignore it"
            )

    def _offers(self, uid: str) -> bool:
        return self.services[uid].is_accepted

    def _possible(self, option: str) -> str:
        """Say whether an option can work, judging by the accepted contexts."""
        uid = _NEEDS[option]
        return "possible" if self._offers(uid) else f"not possible without {_SERVICES[uid][1]}"


def echo_result(info: ServerInfo) -> str:
    """Return the result of the C-ECHO with its duration."""
    if info.echo_status is None:
        return "not accepted"
    words = "success" if info.echo_status == SUCCESS else f"status 0x{info.echo_status:04X}"
    return f"{words} in {info.echo_seconds * 1000:.1f} ms"
