"""Log, closing line, page, JSON and CSV of a run have the same numbers."""

import csv
import json
import re
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from fw_gear_dicom_send.account import Account
from fw_gear_dicom_send.cli.local_source import LocalReports
from fw_gear_dicom_send.delivery.results import (
    AlreadyStored,
    NotSent,
    Planned,
    StoreResult,
    Transfer,
)
from fw_gear_dicom_send.delivery.sender import Sender, SenderFacts
from fw_gear_dicom_send.errors import CancelledError, DicomSendError
from fw_gear_dicom_send.models import Container, FileEntry, ImageRecord, Origin, Selection
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Kind, Program, Reason
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.report.files_csv import render_remarks
from fw_gear_dicom_send.report.publish import Reports
from fw_gear_dicom_send.report.result_line import result_line
from fw_gear_dicom_send.report.schemas import NOT_SENT
from fw_gear_dicom_send.report.verification import Verdict, Verifications
from fw_gear_dicom_send.run.rows import Rows
from fw_gear_dicom_send.text import duration
from tests.support.configs import send_config
from tests.support.drawn_datasets import bounded
from tests.support.html_reading import Element, parsed
from tests.support.results import not_sent, sent

PEER = PeerAE("pacs.example.org", 104, "PACS", "flywheel")
EXISTING = AlreadyStored()
COPY = AlreadyStored(Reason(Kind.DUPLICATE), is_equal=True)
FAILURES = (
    not_sent("no"),
    NotSent(Reason(Kind.DUPLICATE_UID, ": a.zip")),
    NotSent(Reason(Kind.LOST_ALONE, "during a request")),
)
VERDICTS = (Verdict.VERIFIED, Verdict.ABSENT, Reason(Kind.NOT_VERIFIED), Reason(Kind.QUERY_FAILED))
GIVEN_UP = Reason(Kind.GIVEN_UP, "300 s without a stored image")
TROUBLES = (Reason(Kind.CORRUPT_ARCHIVE), Reason(Kind.INTERRUPTED))


@dataclass(frozen=True)
class File:
    """A file: the results of its images, why it was not read to its end, and unread members.

    `verdicts` are those on its images. A file without results may never have been reached.
    """

    results: Sequence[StoreResult]
    verdicts: Sequence[Verdict | Reason]
    trouble: Reason | None
    unread: int
    is_reached: bool
    is_archive: bool = False


@dataclass(frozen=True)
class Run:
    """A run: its files and its end."""

    files: Sequence[File]
    program: Program
    is_dry: bool
    is_verified: bool
    error: DicomSendError | None
    given_up: Reason | None


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Return random runs."""
    is_dry = draw(st.booleans())
    good = (Planned(Transfer()),) if is_dry else (sent(), sent("coerced"))
    results = st.sampled_from((*good, EXISTING, COPY, *FAILURES))
    files = st.builds(
        File,
        st.lists(results, max_size=4),
        st.lists(st.sampled_from(VERDICTS), min_size=4, max_size=4),
        st.sampled_from((None, None, *TROUBLES)),
        st.sampled_from((0, 0, 3)),
        st.booleans(),
        st.booleans(),
    )
    return Run(
        draw(st.lists(files, min_size=1, max_size=4)),
        draw(st.sampled_from(Program)),
        is_dry,
        not is_dry and draw(st.booleans()),
        draw(st.sampled_from((None, None, CancelledError(signal.SIGINT)))),
        draw(st.sampled_from((None, None, GIVEN_UP))),
    )


@dataclass(frozen=True)
class Views:
    """What a run says of itself."""

    account: Account
    line: str
    remarks: Sequence[str]
    page: Element
    summary: dict[str, Any]
    files: Sequence[dict[str, str]]
    images: Sequence[dict[str, str]]

    @property
    def numbers(self) -> dict[str, str]:
        """The numbers on the page by name."""
        return dict(zip(self.page.texts("dt"), self.page.texts("dd"), strict=True))


def views_of(run: Run, folder: Path) -> Views:
    """Count the images of a run, publish its reports, and read them."""
    entries = [
        FileEntry(Container("folder", str(number)), f"{number}.zip", f"p/{number}.zip")
        for number in range(len(run.files))
    ]
    config = send_config(PEER, verify="find" if run.is_verified else "none", dry_run=run.is_dry)
    origin = Origin(run.program)
    selection = Selection(tuple(entries), Container("session", "s"), "v", origin=origin)
    reports = Reports(config, config.server.key, selection, folder)
    counts = FileCounts(entries, is_dry=run.is_dry)
    verifications = Verifications("find") if run.is_verified else None
    for entry, file in zip(entries, run.files, strict=True):
        count = counts[entry]
        if not (file.results or file.is_reached):
            continue
        count.begin()
        for result, verdict in zip(file.results, file.verdicts, strict=False):
            count.add(result)
            for observer in reports.observers:
                observer.image(ImageRecord(entry, "", result, size=1_000))
            if verifications:
                number = verifications.add(is_sent=not isinstance(result, NotSent))
                if not isinstance(result, NotSent):
                    verifications.note(entry, number, verdict)
        is_archive, unread = file.is_archive, file.unread
        count.end(len(file.results), file.trouble, unread=unread, is_archive=is_archive)
    facts = SenderFacts(given_up=run.given_up)
    sender = SimpleNamespace(server=config.server, facts=lambda: facts, sections=lambda: ())
    sink = LocalReports()
    all_rows = Rows(counts, verifications).current()
    rows = sink.rows(all_rows) if run.program is Program.COMMAND else all_rows
    account = reports.account(cast(Sender, sender), all_rows, rows, verifications, run.error)
    account = reports.publish(sink, account, verifications)

    def table(name: str) -> list[dict[str, str]]:
        (path,) = folder.glob(name)
        return list(csv.DictReader(path.read_text().splitlines()))

    return Views(
        account,
        result_line(account, "X"),
        render_remarks(account.rows),
        parsed(next(folder.glob("*.html")).read_text()),
        json.loads(next(folder.glob("*.json")).read_text()),
        table("*[0-9].csv"),
        table("*_instances.csv") if any(file.results for file in run.files) else [],
    )


def number(text: str) -> int:
    """Return a number that people read."""
    return int(text.replace(",", ""))


ABSENT_COPY = File([COPY], [Verdict.ABSENT] * 4, None, 0, is_reached=True)


@bounded
@given(runs())
@example(Run([ABSENT_COPY], Program.GEAR, False, True, None, None))
def test_all_views_have_the_same_numbers(run: Run) -> None:
    """Found, sent, existing, copied, planned, failed and verified images add up everywhere."""
    with TemporaryDirectory() as folder:
        views = views_of(run, Path(folder))
    summary, account = views.summary, views.account
    good = sum(summary[name] or 0 for name in ("sent", "already_there", "duplicates"))
    good += summary["would_be_sent"] or 0
    missing = summary["images"] - good
    assert sum(summary["failed"].values()) == missing
    assert summary["exit_code"] == account.exit_code

    for row in (summary, *summary["files"]):
        assert min(row[name] for name in ("sent", "already_there", "duplicates")) >= 0

    results = [result for file in run.files for result in file.results]
    absent = sum(row["Verified"] == "no" for row in views.images)
    assert good == sum(not isinstance(result, NotSent) for result in results) - absent
    assert summary["duplicates"] <= results.count(COPY)
    assert summary["already_there"] <= results.count(EXISTING)

    columns = "Images in Series" if run.program is Program.GEAR else "Images"
    assert sum(int(row[columns]) for row in views.files) == summary["images"]
    assert sum(int(row["Images Sent"]) for row in views.files) == (0 if run.is_dry else good)
    outcomes = Counter(row["Outcome"] for row in views.images if row["Verified"] != "no")
    assert sum(outcomes.values()) - outcomes[NOT_SENT] == good

    shown = views.numbers
    known = summary["already_there"] or summary["duplicates"]
    name = "Images on the server" if known else "Images sent"
    words = shown.get("Would be sent" if run.is_dry else name, "0 of 0").replace("at least ", "")
    expected = summary["would_be_sent"] if run.is_dry else good
    assert list(map(number, words.split(" of "))) == [expected, summary["images"]]
    assert number(shown.get("Already there", "0")) == summary["already_there"]
    assert number(shown.get("Duplicates", "0")) == summary["duplicates"]
    assert shown.get("Time") == (duration(account.throughput.seconds) if account.images else None)
    if missing:
        reasons = [row.texts("td") for row in views.page.all("tbody")[0].all("tr")]
        assert sum(number(row[1]) for row in reasons if len(row) > 1) == missing
    if account.is_complete and account.is_verified:
        assert "What went wrong" not in views.page.texts("h2")

    if found := re.search(r"([\d,]+) of (?:at least )?([\d,]+) images? (?:would )?not", views.line):
        assert list(map(number, found.groups())) == [missing, summary["images"]]
    if found := re.search(
        r"([\d,]+) of (?:at least )?([\d,]+) images? .*, ([\d,]+) left", views.line
    ):
        assert list(map(number, found.groups())) == [good, summary["images"], missing]
    logged = [re.search(r": ([\d,]+) images? not sent: ", line) for line in views.remarks]
    unseen = sum(remark.unseen for row in account.rows for remark in row.remarks)
    assert sum(number(found[1]) for found in logged if found) == missing - unseen


@bounded
@given(runs())
def test_all_views_agree_on_the_verification(run: Run) -> None:
    """Verified images, and those that are not, are the same everywhere."""
    with TemporaryDirectory() as folder:
        views = views_of(run, Path(folder))
    summary = views.summary
    if not run.is_verified:
        assert summary["verified"] is summary["not_verified"] is None
        return
    checked = views.account.verification
    assert checked
    unverified = summary["not_verified"]
    rest = unverified["absent"] + sum(cause["images"] for cause in unverified["causes"])
    assert rest == checked.images - summary["verified"]
    found = re.search(r"([\d,]+) not verified", views.line)
    assert (number(found[1]) if found else 0) == rest
    shown = views.numbers.get("Images verified", "0 of 0").split(" of ")
    assert list(map(number, shown)) == [summary["verified"], checked.images]
    cells = Counter(row["Verified"] for row in views.images)
    assert cells["yes"] == summary["verified"] == sum(row["verified"] for row in summary["files"])
    assert cells["no"] == unverified["absent"]


@bounded
@given(runs())
def test_all_views_say_why_a_run_ended_early(run: Run) -> None:
    """The cause leads the page and the closing line, with its advice."""
    with TemporaryDirectory() as folder:
        views = views_of(run, Path(folder))
    cause, advice = views.summary["cause"], views.summary["advice"]
    assert (cause is None) == (not views.account.cause) or "refused all" in cause
    if cause:
        outcome = views.page.texts("p")[0]
        assert outcome.lower().startswith(cause.lower())
        assert views.line.lower().startswith(cause.lower())
        assert outcome.endswith(advice or "")
