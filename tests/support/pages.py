"""Pages about runs and batches that use all features of a page."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fw_gear_dicom_send.account import (
    Account,
    Example,
    ModalityCount,
    StoreTimes,
    ThroughputCounts,
    VerificationSummary,
)
from fw_gear_dicom_send.batch import page as batch_page
from fw_gear_dicom_send.batch.models import Batch, JobResult
from fw_gear_dicom_send.config import server_name
from fw_gear_dicom_send.dicom.uids import known_name_of
from fw_gear_dicom_send.models import (
    Container,
    Exclusion,
    FileEntry,
    FileReport,
    LeftOut,
    Origin,
    Remark,
)
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.page_sections import contexts_section
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.option_types import Option
from fw_gear_dicom_send.options import OPTIONS
from fw_gear_dicom_send.reasons import Kind, Program, Reason, Skipped
from fw_gear_dicom_send.report import run_page as run_pages
from fw_gear_dicom_send.report.reason_groups import cause_of
from fw_gear_dicom_send.values import replace

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SYNTAXES = tuple(
    f"1.2.840.10008.1.2{end}"
    for end in ("", ".1", ".2", ".5", *(f".4.{number}" for number in (50, 51, 57, 70, 80, 90, 91)))
)
PEER = PeerAE("pacs.radiology.hospital.example.org", 11112, "ARCHIVE", "flywheel")
CONTEXTS = {
    Context(one, syntax): (place + len(one)) % 2 == 0
    for one in (CT, MR)
    for place, syntax in enumerate(SYNTAXES)
}
STARTED = datetime(2024, 3, 5, 7, 8, 9, tzinfo=UTC)
THROUGHPUT = ThroughputCounts(
    2.0,
    (120, 80, 0, 55),
    (4_000_000, 3_000_000, 0, 2_000_000),
    (0, 3, 40, 7, 5, 4, 3, 2, 1, 0, 0, 1, 2),
    8.2,
    StoreTimes(0.0123, 0.41, 12.5),
    (1.5, 4.0, 7.9),
)
BATCH = Batch("65f0cc", "complete", STARTED, "user@example.org", ())
REFUSED = Reason(Kind.REFUSED, "0xC000 Cannot Understand", "0xC000")
ENTRY = FileEntry(Container("acquisition", "a"), "a.zip", "lab/Study/sub-01/visit 1/T1/files/a.zip")


def file(name: str, images: int, sent: int, *remarks: Remark, **more: Any) -> FileReport:
    """Return the result of a file."""
    path = f"lab/Study of everything/sub-01/visit 1/T1 MPRAGE sagittal/files/{name}"
    entry = FileEntry(Container("acquisition", "a"), name, path)
    return FileReport(entry, images, sent, remarks, **more)


def files(complete: int = 30) -> list[FileReport]:
    """Return files that failed for several reasons, and some complete files."""
    not_accepted = [
        Remark((Reason(Kind.NOT_ACCEPTED, f"CT in {known_name_of(syntax)}"),), 2, failure=True)
        for syntax in SYNTAXES
    ]
    warning = Remark(
        (Reason(Kind.WARNING, "0xB000 Coercion of Data Elements", "0xB000"),), 3, failure=False
    )
    converted = Remark((Reason(Kind.CONVERTED, "MR only as Explicit VR"),), 9, failure=False)
    return [
        *(file(f"series{n:03}_{'x' * 40}.zip", 176, 176, verified=176) for n in range(complete)),
        file("part.zip", 100_000, 79_000, Remark((REFUSED,), 21_000, failure=True), warning),
        file("syntaxes.zip", 122, 100, *not_accepted, converted),
        file("damaged.zip", 0, 0, Remark((Reason(Kind.CORRUPT_ARCHIVE),), 0, failure=True)),
        file("replaced.zip", 5, 0, Remark((Reason(Kind.REPLACED),), 0, failure=False)),
        file("existing.zip", 300, 100, already_stored=200, verified=300),
    ]


def examples() -> list[Example]:
    """Return the first images that the server rejected."""
    uids = [f"1.2.826.0.1.3680043.8.498.{number:040}" for number in range(30)]
    return [Example(ENTRY.path, f"member {n}", uid) for n, uid in enumerate(uids)]


def options(**values: Any) -> list[tuple[Option, Any]]:
    """Return options with their values."""
    return [(option, values[option.name]) for option in OPTIONS if option.name in values]


def render(reports: Sequence[FileReport], account: Account) -> str:
    """Return the page about a run with these results of files."""
    return run_pages.render(replace(account, rows=tuple(reports)))


def facts(**changes: Any) -> Account:
    """Return the account of a run without its files."""
    known: dict[str, Any] = {
        "title": "DICOM send: visit 1",
        "started": STARTED,
        "throughput": THROUGHPUT,
        "server": server_name(PEER, "BCP 195"),
        "sections": [contexts_section(CONTEXTS)],
        "options": options(destination=PEER.host, tls_security_profile="BCP 195"),
        "versions": [("dicom-send", "5.0.0"), ("Python", "3.11.9")],
        "verification": VerificationSummary(
            "C-FIND", 300, 200, 50, ((Reason(Kind.NOT_OFFERED, "C-FIND"), 50),)
        ),
        "skipped": {Skipped.NOT_DICOM: 2, Skipped.DICOMDIR: 1},
        "left_out": [LeftOut(Exclusion.OTHER_TYPE, 1, ("1 text",))],
        "origin": Origin(
            Program.GEAR,
            "lab/Study/sub-01/visit 1",
            "https://flywheel.example.org/#/projects/65f0aa11bb22cc33dd44ee55/sessions/65f0bb",
            "66f0aa11bb22cc33dd44ee55",
        ),
        "modalities": [ModalityCount("CT", 12, 1_234_567, 9_000_000), ModalityCount("MR", 2, 9, 8)],
        "examples": {cause_of(REFUSED): examples()},
        "reports": [
            "dicom-send_report-visit 1_2024-03-05_07-08-09.csv",
            "dicom-send_report-visit 1_2024-03-05_07-08-09_instances.csv",
        ],
    }
    return Account(**known | changes)


def run_page() -> str:
    """Return the page of a gear run that uses all features."""
    return render(files(), facts())


def command_page() -> str:
    """Return the page of a successful run of the command."""
    return render(
        [file("a.zip", 5, 5)],
        facts(
            title="DICOM send: study",
            origin=Origin(Program.COMMAND, f"/data/{'a long folder name/' * 8}"),
            verification=None,
            skipped={},
            left_out=[],
        ),
    )


def outcomes(number: int) -> list[JobResult]:
    """Return the results of this many sessions, some of them failed."""
    return [
        JobResult(
            f"visit {place}",
            "failed" if place % 50 == 0 else "complete",
            images=1_200,
            sent=1_200 if place % 50 else 1_000,
            files=4,
            complete_files=4 if place % 50 else 3,
            url=f"https://flywheel.example.org/#/projects/p/sessions/{place}",
            reason="" if place % 50 else "not all images were sent",
            subject=f"sub-{place}",
            seconds=75.0,
            advice="" if place % 50 else "See the page of the run.",
            codes={} if place % 50 else {"refused": 150, "not-accepted": 50},
        )
        for place in range(number)
    ]


def whole_batch_page(number: int = 200) -> str:
    """Return the page of a batch with this many sessions."""
    return batch_page.render(BATCH, outcomes(number), STARTED)
