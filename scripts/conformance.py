"""Writer of docs/CONFORMANCE.md, the DICOM Conformance Statement, from the tables of the code.

python -m scripts.conformance
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import Template

from pynetdicom import (
    AllStoragePresentationContexts,
)
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

import fw_gear_dicom_send
from fw_gear_dicom_send.delivery.deliver import MAX_SECOND_TRIES
from fw_gear_dicom_send.delivery.inquiry import MAX_FAILURES
from fw_gear_dicom_send.delivery.results import Resending
from fw_gear_dicom_send.dicom.transcode.converter import SOURCES
from fw_gear_dicom_send.dicom.uids import name_of
from fw_gear_dicom_send.network import (
    commitment,
    commitment_listener,
    pdus,
    query,
    upper_layer,
)
from fw_gear_dicom_send.network.context_limit import FEWER_CONTEXTS
from fw_gear_dicom_send.network.contexts import FALLBACK_SYNTAXES, MAX_CONTEXTS
from fw_gear_dicom_send.network.rejections import NO_REASON, REJECTED
from fw_gear_dicom_send.network.statuses import DUPLICATE_SOP_INSTANCE, resending_of
from fw_gear_dicom_send.network.timeouts import DEFAULT_TIMEOUTS
from fw_gear_dicom_send.network.tls import PROFILES
from fw_gear_dicom_send.options import MAX_ASSOCIATIONS
from fw_gear_dicom_send.run.verify import MAX_UNVERIFIED, MAX_UNVERIFIED_IN_FILE

RESENDING = {
    Resending.NEVER: "names it in the report",
    Resending.ONCE: f"resends it once at the end, alone, if the server stored other images; "
    f"{MAX_SECOND_TRIES} such images at most",
    Resending.WHILE_NOTHING_IS_STORED: "resends it at the end, alone; while the server stores no "
    "image, for `send_retry_time`",
}

REPOSITORY = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_name("conformance.md")
TARGET = REPOSITORY / "docs" / "CONFORMANCE.md"

TIMEOUTS = {
    "the resolution of the host name": DEFAULT_TIMEOUTS.resolve,
    "a TCP connection, for each address of the host": DEFAULT_TIMEOUTS.connect,
    "the answer to an association request": DEFAULT_TIMEOUTS.associate,
    "the peer to read more of the written data, at 1 KB/s on average or more": (
        DEFAULT_TIMEOUTS.write
    ),
    "the peer's system to acknowledge data, on Linux": DEFAULT_TIMEOUTS.acknowledge,
    "the answer to a C-STORE request, after it is written": DEFAULT_TIMEOUTS.response,
    "the answer to a C-ECHO request": DEFAULT_TIMEOUTS.echo,
    "all responses to a C-FIND request": DEFAULT_TIMEOUTS.find,
    "the answer to a storage commitment request (N-ACTION)": DEFAULT_TIMEOUTS.action,
    "the report of a storage commitment, on the same association": DEFAULT_TIMEOUTS.commitment,
    "the report of a storage commitment, on an association of the peer": (
        DEFAULT_TIMEOUTS.late_commitment
    ),
    "the answer to a release request": DEFAULT_TIMEOUTS.release,
}


def main() -> None:
    """Write the Conformance Statement."""
    TARGET.write_text(statement())


def statement() -> str:
    """Return the Conformance Statement."""
    return Template(TEMPLATE.read_text()).substitute(
        version=fw_gear_dicom_send.__version__,
        implementation_uid=pdus.IMPLEMENTATION_UID,
        implementation_version=pdus.IMPLEMENTATION_VERSION,
        most_associations=MAX_ASSOCIATIONS,
        most_contexts=MAX_CONTEXTS,
        fewer_contexts=FEWER_CONTEXTS[0],
        fewest_contexts=FEWER_CONTEXTS[-1],
        most_unverified=MAX_UNVERIFIED,
        most_in_file=MAX_UNVERIFIED_IN_FILE,
        max_list=query.MAX_LIST,
        max_failures=MAX_FAILURES,
        find_timeout=f"{DEFAULT_TIMEOUTS.find:g}",
        commitment_timeout=f"{DEFAULT_TIMEOUTS.commitment:g}",
        late_commitment_timeout=f"{DEFAULT_TIMEOUTS.late_commitment:g}",
        most_connections=commitment_listener.MAX_CONNECTIONS,
        most_references=commitment.MAX_REFERENCES,
        largest_pdu_received=pdus.MAX_RECEIVED_PDU,
        largest_pdu_sent=upper_layer.MAX_PDU,
        ways_out=table(("name", "UID"), map(named, FALLBACK_SYNTAXES)),
        decodable=table(("name", "UID"), map(named, sorted(SOURCES))),
        statuses=table(("status", "meaning", "the image", "what the gear does"), statuses()),
        rejections=table(("source", "reason", "text in the log"), rejections()),
        timeouts=table(("wait for", "seconds"), timeouts()),
        profiles=table(("profile", "source", "TLS 1.3", "suites of TLS 1.2"), profiles()),
        sop_classes=table(("SOP class", "UID"), sop_classes()),
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def named(uid: str) -> tuple[str, str]:
    """Return the name of a UID, and the UID."""
    return name_of(uid), f"`{uid}`"


def statuses() -> Iterator[tuple[str, ...]]:
    """Yield a row for each range of statuses with the same treatment, in ascending order."""
    rows: list[tuple[int, int, tuple[str, ...]]] = []
    for code in sorted(STORAGE_SERVICE_CLASS_STATUS):
        _, meaning = STORAGE_SERVICE_CLASS_STATUS[code]
        row = (meaning or code_to_category(code), *treatment(code))
        if rows and rows[-1][1] == code - 1 and rows[-1][2] == row:
            rows[-1] = (rows[-1][0], code, row)
        else:
            rows.append((code, code, row))
    for first, last, row in rows:
        codes = f"{first:04X}" if first == last else f"{first:04X} to {last:04X}"
        yield (codes, *row)
    for code, name in ((0x0001, "0001"), (0xBFFF, "any other Bxxx"), (0xFFFF, "any other")):
        yield (name, code_to_category(code), *treatment(code))


def treatment(code: int) -> tuple[str, str]:
    """Return the result of a status for the image, and the gear's reaction."""
    if code_to_category(code) in ("Success", "Warning"):
        return "stored", "logs the status" if code else "-"
    if code == DUPLICATE_SOP_INSTANCE:
        return "not stored", "names it in the report; after a lost response, counts it as stored"
    return "not stored", RESENDING[resending_of(code)]


def rejections() -> Iterator[tuple[str, ...]]:
    """Yield the text in the log for each reason of a rejection (PS3.8 9.3.4)."""
    titles = {"calling": "<calling AE title>", "called": "<called AE title>"}
    for (source, reason), words in REJECTED.items():
        yield (str(source), str(reason), words.replace("!r", "").format(**titles))
    yield ("any other", "", NO_REASON)


def timeouts() -> Iterator[tuple[str, str]]:
    """Yield each timeout with its seconds."""
    for event, seconds in TIMEOUTS.items():
        yield event, f"{seconds:g}"


def profiles() -> Iterator[tuple[str, ...]]:
    """Yield the security profiles."""
    for name, profile in PROFILES.items():
        suites = ", ".join(f"`{suite}`" for suite in profile.ciphers)
        yield (name, profile.source, "yes" if profile.has_tls_1_3 else "no", suites)


def sop_classes() -> Iterator[tuple[str, str]]:
    """Yield the standard storage SOP classes, sorted by name."""
    uids = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    yield from sorted(map(named, uids), key=lambda row: row[0].lower())


if __name__ == "__main__":
    main()
