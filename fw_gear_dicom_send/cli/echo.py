"""`dicom-send echo`: whether a server answers, and what it takes."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ..config import identity_file, manifest, peer, with_defaults
from ..config import tls as tls_options
from ..dicom.uids import name_of
from ..errors import ConfigError, DicomSendError, ExitCode
from ..network.types import Greeting, PeerAE
from . import options
from .console import write, write_json

if TYPE_CHECKING:
    from ..network.contexts import Context

DESCRIPTION = """\
Test the connection to a DICOM server: open an association, send a C-ECHO, and ask in
further associations for each storage SOP class and transfer syntax whether it is accepted.
Nothing is sent or changed.
"""
EPILOG = """\
The exit code is 0 if the server answers the C-ECHO with success, 1 if it answers otherwise,
2 if the command line cannot be used, and 3 if there is no association.
"""
SUCCESS = 0

Taken = Mapping[str, tuple[str, ...]]


def run(argv: Sequence[str]) -> int:
    """Run the command line after `echo`; raise DicomSendError where there is no association."""
    arguments = parser().parse_args(argv)
    try:
        return _ask(arguments)
    except DicomSendError as exc:
        if arguments.json:
            write_json({"error": str(exc), "exit_code": exc.exit_code})
        raise


def parser() -> options.Parser:
    """Return what understands the command line after `echo`."""
    made = options.Parser("dicom-send echo", DESCRIPTION, EPILOG)
    options.add_group(made, "DICOM server", options.CONNECTION)
    options.add_tls(made)
    made.add_argument("--json", action="store_true", help="Print the result as JSON.")
    options.add_common(made)
    return made


def _ask(arguments: Namespace) -> int:
    try:
        known = manifest()
        chosen = with_defaults(options.given(arguments), known)
        server = peer(chosen)
        inputs = options.tls_inputs(arguments)
        tls_config = tls_options(chosen, inputs, known)
        identity_path = identity_file(chosen, inputs)
        # The network takes long to import, and neither --help nor an error above needs it.
        from ..network import identity, preflight, tls
        from ..network.association import resolve
        from ..network.contexts import storage_contexts

        resolve(server)
        if identity_path:
            server = replace(server, identity=identity.read(identity_path))
        context = tls.make_context(tls_config) if tls_config else None
    except ConfigError as exc:
        raise options.as_usage(exc) from exc
    greeting = preflight.check(server, context)
    proposed = storage_contexts()
    taken = _by_class(proposed, preflight.accepted(server, proposed, context))
    if arguments.json:
        accepted = {sop_class: list(syntaxes) for sop_class, syntaxes in taken.items()}
        write_json({"error": None, **asdict(greeting), "accepted": accepted})
    else:
        write("".join(f"{line}\n" for line in _lines(server, greeting, taken)))
    return ExitCode.SUCCESS if greeting.echo_status == SUCCESS else ExitCode.NOT_ALL_SENT


def _by_class(proposed: Sequence["Context"], accepted: frozenset["Context"]) -> Taken:
    """Return the transfer syntaxes that are accepted, for each SOP class."""
    taken: dict[str, tuple[str, ...]] = {}
    for context in proposed:
        before = taken.setdefault(context.abstract_syntax, ())
        if context in accepted:
            taken[context.abstract_syntax] = (*before, context.transfer_syntax)
    return taken


def _lines(server: PeerAE, greeting: Greeting, taken: Taken) -> Iterator[str]:
    implementation = greeting.implementation or "of an implementation that it does not name"
    limit = f"of at most {greeting.longest_pdu} bytes" if greeting.longest_pdu else "of any length"
    yield f"{server.called_ae} at {server.host} port {server.port} accepts an association"
    yield f"Implementation: {implementation}; PDUs {limit}"
    if session := greeting.tls:
        yield f"TLS: {session.version} with {session.cipher}"
        yield f"Certificate: {session.subject}, issued by {session.issuer}"
    yield f"C-ECHO: {_echo(greeting)}"
    groups: dict[tuple[str, ...], list[str]] = {}
    for sop_class, syntaxes in taken.items():
        groups.setdefault(syntaxes, []).append(sop_class)
    for syntaxes, classes in sorted(
        groups.items(), key=lambda group: (not group[0], -len(group[1]))
    ):
        is_all = len(groups) == 1
        yield ""
        yield f"{'A' if syntaxes else 'Not a'}ccepted: {_storage(len(classes), is_all)}"
        if not is_all:
            yield from (f"    {name_of(uid)}" for uid in classes)
        if syntaxes:
            yield f"  each in {_counted(len(syntaxes), 'transfer syntax')}:"
            yield from (f"    {name_of(uid)}" for uid in syntaxes)


def _storage(number: int, is_all: bool) -> str:
    return ("all " if is_all else "") + _counted(number, "storage SOP class")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}es"


def _echo(greeting: Greeting) -> str:
    if greeting.echo_status is None:
        return "not accepted"
    words = "success" if greeting.echo_status == SUCCESS else f"status 0x{greeting.echo_status:04X}"
    return f"{words}, in {greeting.echo_seconds * 1000:.1f} ms"
