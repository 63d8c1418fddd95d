"""Self-contained HTML page with the result of a run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..delivery.sender import ServerName
from ..dicom.uids import printable_uid_or_empty
from ..models import FileReport, Origin
from ..sections import (
    Bar,
    Details,
    Link,
    Named,
    Part,
    Parts,
    Section,
    Table,
    folded,
)
from ..text import MEGABYTE, duration, natural_key, quantity
from . import charts, page, reason_groups
from .modality_counts import MAX_SERIES, ModalityCount
from .reason_groups import ImageExample, ImageExamples, ReasonGroup
from .throughput import ThroughputCounts
from .verification import VerificationSummary
from .wording import at_least, headline, image_counts, is_complete, is_dry

MAX_FILES = 1_000
"""Maximum number of listed incomplete files, and of listed complete files."""
MAX_TEXTS = 10
"""Maximum number of texts of a cause."""


@dataclass(frozen=True)
class Facts:
    """Facts on the page besides the files; none of them is confidential.

    `sections` are those of the server. `verification` is None without the option `verify`.
    `files_csv` and `images_csv` are the names of the reports that come with the page; a name is
    empty if there is no such report.
    """

    title: str
    started: datetime
    throughput: ThroughputCounts
    server: ServerName
    sections: Sequence[Section] = ()
    config: Sequence[tuple[str, str]] = ()
    versions: Sequence[tuple[str, str]] = ()
    verification: VerificationSummary | None = None
    skipped: str = ""
    left_out: Sequence[str] = ()
    origin: Origin = field(default_factory=Origin)
    modalities: Sequence[ModalityCount] = ()
    is_series_cut: bool = False
    examples: ImageExamples = field(default_factory=ImageExamples)
    files_csv: str = ""
    images_csv: str = ""

    @property
    def noun(self) -> str:
        """Noun for a row of the report."""
        return self.origin.program.row_noun

    @property
    def files(self) -> str:
        """Heading for the report's rows."""
        return f"{self.noun.capitalize()}s"


def render(reports: Sequence[FileReport], facts: Facts) -> str:
    """Return the page."""
    verification = facts.verification
    is_verified = not verification or verification.is_whole
    return page.render(
        facts.title,
        headline(*reports, is_verified=is_verified),
        is_good=is_complete(reports) and is_verified,
        facts=_head(facts),
        tiles=_numbers(reports, facts),
        sections=_sections(reports, facts, is_verified=is_verified),
    )


def _sections(
    reports: Sequence[FileReport], facts: Facts, *, is_verified: bool
) -> Iterator[Section]:
    failures, notes = reason_groups.failures(reports), reason_groups.notes(reports)
    wrong: Parts = (_causes(failures, facts),) if failures else ()
    if not failures and is_verified:
        wrong = ("Nothing went wrong.",)
    yield Section("What went wrong", (*_verified(facts), *wrong))
    if notes:
        yield Section("Warnings and changes", (_causes(notes, facts, is_labelled=True),))
    left_out = (f"{text}." for text in (*facts.left_out, facts.skipped) if text)
    yield Section(facts.files, (*_files(reports, facts), *left_out))
    if facts.modalities:
        yield Section("Modalities", _modalities(facts))
    yield charts.rates(facts.throughput)
    yield charts.times(f"{facts.server.request} times", facts.throughput)
    yield from facts.sections
    options = Table({"Option": "", "Value": ""}, facts.config)
    yield Section("Configuration", (Details("Options", (options,)),))
    yield Section("Versions", _support_details(facts))


def _head(facts: Facts) -> Iterator[Named]:
    """Yield the server, the source, other facts about the server, and the times of the run."""
    origin, seconds = facts.origin, facts.throughput.seconds
    yield "Server", f"{facts.server.label}, {facts.server.security}"
    if origin.path:
        yield "Source", Link(origin.path, origin.url)
    yield from facts.server.details
    yield "Started", _format_time(facts.started)
    ended = _format_time(facts.started + timedelta(seconds=seconds))
    yield "Ended", f"{ended}, {duration(seconds)}"
    if origin.job_id:
        yield "Job", origin.job_id


def _format_time(time: datetime) -> str:
    """Return a time with its UTC offset."""
    zone = f"{time:%z}"
    return f"{time:%Y-%m-%d %H:%M:%S}" + (f" UTC{zone[:3]}:{zone[3:5]}" if zone else "")


def _numbers(reports: Sequence[FileReport], facts: Facts) -> list[Named]:
    """Return the numbers of the run."""
    complete = sum(report.is_complete for report in reports)
    work = facts.throughput
    sent, seconds = sum(work.images), work.seconds
    would_be = "that would be " if is_dry(reports) else ""
    numbers: list[Named] = [
        *_images(reports, _label(reports)),
        (f"{facts.files} {would_be}complete", f"{complete:,} of {len(reports):,}"),
        ("Data sent", f"{sum(work.bytes) / MEGABYTE:,.1f} MB"),
        ("Time", duration(seconds)),
        ("Rate", f"{sent / seconds:,.1f} images/s" if seconds else "-"),
    ]
    if checked := facts.verification:
        numbers.insert(1, ("Images verified", f"{checked.verified:,} of {checked.images:,}"))
    if work.losses:
        numbers.append(("Associations lost", len(work.losses)))
    return numbers


def _label(reports: Sequence[FileReport]) -> str:
    """Return the label for the good images of a file."""
    if is_dry(reports):
        return "Would be sent"
    already = any(report.already_stored for report in reports)
    return "Images on the server" if already else "Images sent"


def _images(reports: Sequence[FileReport], label: str) -> Iterator[Named]:
    """Yield the numbers of images, separately for existing and sent images."""
    images = sum(report.images for report in reports)
    already = sum(report.already_stored for report in reports)
    good = sum(report.good for report in reports)
    if is_dry(reports):
        good -= already
    yield label, f"{good:,} of {at_least(reports)}{images:,}"
    if already:
        yield "Already there", already
        if not is_dry(reports):
            yield "Images sent", sum(report.sent for report in reports)


def _verified(facts: Facts) -> Parts:
    """Return the number of verified images, and advice for the others."""
    if not (verification := facts.verification):
        return ()
    advice = dict.fromkeys(
        reason.kind.advice_for(facts.origin.program) for reason, _ in verification.causes
    )
    return (" ".join([f"{verification.text}.", *advice]),)


def _causes(groups: Iterable[ReasonGroup], facts: Facts, *, is_labelled: bool = False) -> Table:
    """Return a table of causes, with a label if their texts are only parts of sentences."""
    program = facts.origin.program
    rows: list[Parts] = []
    for group in groups:
        kind = group.cause.kind
        label = f"{kind.code.replace('-', ' ').capitalize()}: " if is_labelled else ""
        cause = _cause(group, facts, label)
        rows.append((cause, group.images, group.files, kind.advice_for(program)))
    columns = {"Reason": "", "Images": "number", facts.files: "number", "What to do": ""}
    return Table(columns, rows)


def _cause(group: ReasonGroup, facts: Facts, label: str) -> Parts:
    """Return the label and text of a cause, its other texts, and its first images or files."""
    first, *others = sorted(group.texts, key=lambda text: -group.texts[text])
    parts: list[Part] = [f"{label}{first}"]
    if others:
        texts = [f"{text} ({group.texts[text]:,})" for text in others[:MAX_TEXTS]]
        if more := len(others) - len(texts):
            texts.append(f"and {more:,} more")
        parts.append(Details(quantity(len(others), "similar message"), (texts,)))
    examples = facts.examples.of(group.cause) if group.images else ()
    if named := [_example(image) for image in examples] or group.paths:
        total = group.images if examples else group.files
        affected = quantity(total, f"affected {'image' if examples else facts.noun}")
        report = facts.images_csv if examples else facts.files_csv
        is_cut = total > len(named)
        rest = (f"The full list is in {report}.",) if is_cut and report else ()
        summary = f"First {len(named)} of {affected}" if is_cut else affected
        parts.append(Details(summary, (named, *rest)))
    return tuple(parts)


def _example(image: ImageExample) -> str:
    uid = printable_uid_or_empty(image.sop_instance_uid)
    return ", ".join(part for part in (image.path, image.member, uid) if part)


def _files(reports: Sequence[FileReport], facts: Facts) -> Parts:
    """Return tables of the files, incomplete ones first; many complete files are collapsed."""
    rows = sorted(reports, key=lambda report: natural_key(report.entry.path))
    rows.sort(key=lambda row: ("bad", "part", "good").index(_state(row)))
    is_dry_run = is_dry(reports)
    columns: list[tuple[str, str, Callable[[FileReport], Part]]] = [
        (facts.noun.capitalize(), "long", lambda row: row.entry.path),
        (_label(reports), "number", lambda row: row.planned or 0 if is_dry_run else row.good),
        ("Already there", "number", lambda row: row.already_stored),
        ("Verified", "number", lambda row: row.verified or 0),
        ("Images found", "number", lambda row: row.images),
        ("Share", "minor", _bar),
        ("Status", "words", lambda row: row.status),
    ]
    if not facts.verification:
        del columns[3]
    if not any(report.already_stored for report in reports):
        del columns[2]

    table = Table(
        {title: look for title, look, _ in columns},
        [[cell(row) for _, _, cell in columns] for row in rows],
        [_state(row) for row in rows],
        "files",
    )
    return folded(table, facts.noun, MAX_FILES, facts.files_csv)


def _bar(report: FileReport) -> Bar:
    share = report.good / report.images if report.images else 0
    return Bar(share, _state(report), image_counts(report))


def _state(report: FileReport) -> str:
    return "good" if report.is_complete else "part" if report.good else "bad"


def _modalities(facts: Facts) -> Parts:
    """Return the number of series and images of each modality."""
    rows = [
        (count.modality, count.series, count.images, f"{count.bytes / MEGABYTE:,.1f} MB")
        for count in facts.modalities
    ]
    columns = {"Modality": "", "Series": "number", "Images found": "number", "Data": "number"}
    cut = (f"Only the first {MAX_SERIES:,} series are counted.",) if facts.is_series_cut else ()
    return (Table(columns, rows, name="modalities"), *cut)


def _support_details(facts: Facts) -> Parts:
    """Return the details for support requests: job, session and software versions."""
    origin = facts.origin
    rows: list[tuple[str, Part]] = [("Job", origin.job_id)] if origin.job_id else []
    if origin.url:
        rows.append(("Session", Link(origin.url, origin.url)))
    table = Table({"Software": "", "Version": ""}, [*rows, *facts.versions])
    return ("Include these details in support requests.", table)
