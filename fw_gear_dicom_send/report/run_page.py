"""Self-contained HTML page with the result of a run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from ..dicom.uids import name_of, printable_uid_or_empty
from ..models import FileReport, Origin
from ..network.contexts import Context
from ..network.types import PeerAE, TLSConfig
from ..text import MEGABYTE, duration, natural_key, quantity
from . import charts, reason_groups
from .html import (
    HTML,
    LongTexts,
    Minor,
    Named,
    Numbers,
    Shown,
    Words,
    bar,
    details,
    folded_tables,
    items,
    link,
    matrix,
    page,
    paragraph,
    section,
    table,
)
from .modality_counts import MAX_SERIES, ModalityCount
from .reason_groups import ImageExample, ImageExamples, ReasonGroup
from .throughput import ThroughputCounts
from .verification import VerificationSummary
from .wording import at_least, headline, image_counts, is_complete, is_dry

MAX_FILES = 1_000
"""Maximum number of listed incomplete files, and of listed complete files."""
MAX_TEXTS = 10
"""Maximum number of texts of a cause."""
MAX_CONTEXTS = 60
"""Maximum number of SOP classes, and of transfer syntaxes, in the matrix."""


@dataclass(frozen=True)
class Facts:
    """Facts on the page besides the files; none of them is confidential.

    `verification` is None without the option `verify`. `files_csv` and `images_csv` are the names
    of the reports that come with the page; a name is empty if there is no such report.
    """

    title: str
    started: datetime
    throughput: ThroughputCounts
    peer: PeerAE
    contexts: Sequence[tuple[Context, bool]] = ()
    config: Sequence[tuple[str, str]] = ()
    versions: Sequence[tuple[str, str]] = ()
    verification: VerificationSummary | None = None
    skipped: str = ""
    left_out: Sequence[str] = ()
    origin: Origin = field(default_factory=Origin)
    tls: TLSConfig | None = None
    modalities: Sequence[ModalityCount] = ()
    is_series_cut: bool = False
    examples: ImageExamples = field(default_factory=ImageExamples)
    files_csv: str = ""
    images_csv: str = ""

    @property
    def files(self) -> str:
        """Heading for the report's rows."""
        return f"{self.origin.program.row_noun.capitalize()}s"


def render(reports: Sequence[FileReport], facts: Facts) -> str:
    """Return the page."""
    verification = facts.verification
    is_verified = not verification or verification.is_whole
    return page(
        facts.title,
        headline(*reports, is_verified=is_verified),
        _head(facts),
        _numbers(reports, facts),
        (
            section(
                "What went wrong",
                _verified(facts),
                _failures(reports, facts, is_verified=is_verified),
            ),
            _notes(reports, facts),
            section(facts.files, *_files(reports, facts), *map(paragraph, _left_out(facts))),
            _modalities(facts),
            section("Images per second", charts.rates(facts.throughput)),
            section("C-STORE times", charts.store_times(facts.throughput)),
            section("Presentation contexts", _contexts(facts.contexts)),
            section("Configuration", details("Options", table(("Option", "Value"), facts.config))),
            section("Versions", *_support_details(facts)),
        ),
        is_good=is_complete(reports) and is_verified,
    )


def _head(facts: Facts) -> Iterator[Named]:
    """Yield the server, the source, the calling AE title and the times of the run."""
    peer, origin = facts.peer, facts.origin
    secured = f"TLS ({facts.tls.profile})" if facts.tls else "no TLS"
    yield "Server", f"AE {peer.called_ae} at {peer.host}, port {peer.port}, {secured}"
    if origin.path:
        yield "Source", link(origin.path, origin.url)
    yield "Calling AE", peer.calling_ae
    seconds = facts.throughput.seconds
    yield "Started", _format_time(facts.started)
    yield (
        "Ended",
        f"{_format_time(facts.started + timedelta(seconds=seconds))}, {duration(seconds)}",
    )
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


def _left_out(facts: Facts) -> Iterator[str]:
    """Yield the texts about files that were left out or skipped."""
    for text in (*facts.left_out, facts.skipped):
        if text:
            yield f"{text}."


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


def _verified(facts: Facts) -> str:
    """Return the number of verified images, and advice for the others."""
    if not (verification := facts.verification):
        return ""
    advice = dict.fromkeys(
        reason.kind.advice_for(facts.origin.program) for reason, _ in verification.causes
    )
    return paragraph(" ".join([f"{verification.text}.", *advice]))


def _failures(reports: Iterable[FileReport], facts: Facts, *, is_verified: bool) -> str:
    """Return a table of failures by cause."""
    groups = reason_groups.failures(reports)
    if not groups:
        return paragraph("Nothing went wrong.") if is_verified else ""
    return _causes(groups, facts)


def _notes(reports: Iterable[FileReport], facts: Facts) -> str:
    """Return a section with warnings of the server and changes of images, by cause."""
    groups = reason_groups.notes(reports)
    if not groups:
        return ""
    return section("Warnings and changes", _causes(groups, facts, _note_label))


def _no_label(_: ReasonGroup) -> str:
    return ""


def _note_label(group: ReasonGroup) -> str:
    """Return the label of a note; its text alone is only part of a sentence."""
    return f"{group.cause.kind.code.replace('-', ' ').capitalize()}: "


def _causes(
    groups: Iterable[ReasonGroup],
    facts: Facts,
    label: Callable[[ReasonGroup], str] = _no_label,
) -> HTML:
    program = facts.origin.program
    return table(
        ("Reason", Numbers("Images"), Numbers(facts.files), "What to do"),
        [
            (
                _cause(group, facts, label(group)),
                group.images,
                group.files,
                group.cause.kind.advice_for(program),
            )
            for group in groups
        ],
    )


def _cause(group: ReasonGroup, facts: Facts, label: str) -> HTML:
    """Return the label and text of a cause, its other texts, and its first images or files."""
    first, *others = sorted(group.texts, key=lambda text: -group.texts[text])
    parts = [paragraph(f"{label}{first}")]
    if others:
        texts = [f"{text} ({group.texts[text]:,})" for text in others[:MAX_TEXTS]]
        if more := len(others) - len(texts):
            texts.append(f"and {more:,} more")
        parts.append(details(quantity(len(others), "similar message"), items(texts)))
    examples = facts.examples.of(group.cause) if group.images else ()
    named: list[Shown] = [_example(image) for image in examples] or list(group.paths)
    total = group.images if examples else group.files
    if named:
        noun = "image" if examples else facts.origin.program.row_noun
        report = facts.images_csv if examples else facts.files_csv
        is_cut = total > len(named)
        affected = quantity(total, f"affected {noun}")
        summary = f"First {len(named)} of {affected}" if is_cut else affected
        rest = paragraph(f"The full list is in {report}.") if is_cut and report else ""
        parts.append(details(summary, items(named), rest))
    return HTML("".join(parts))


def _example(image: ImageExample) -> str:
    uid = printable_uid_or_empty(image.sop_instance_uid)
    return ", ".join(part for part in (image.path, image.member, uid) if part)


def _files(reports: Sequence[FileReport], facts: Facts) -> Iterator[str]:
    """Return tables of the files, incomplete ones first; many complete files are collapsed."""
    ordered = sorted(reports, key=lambda report: natural_key(report.entry.fw_path))
    incomplete = [report for report in ordered if not report.is_complete]
    incomplete.sort(key=lambda report: report.good > 0)
    complete = [report for report in ordered if report.is_complete]
    summary = quantity(len(complete), f"complete {facts.origin.program.row_noun}")
    return folded_tables(incomplete, complete, summary, _Columns(reports, facts).table, "files")


class _Columns:
    """Columns for the files of a run."""

    def __init__(self, reports: Sequence[FileReport], facts: Facts) -> None:
        self._is_dry = is_dry(reports)
        self._has_existing = any(report.already_stored for report in reports)
        self._is_verified = facts.verification is not None
        self._label = _label(reports)
        self._facts = facts

    def table(self, reports: Sequence[FileReport], name: str) -> HTML:
        """Return a table of files, with the number of files that are not listed."""
        titles = [
            LongTexts(self._facts.origin.program.row_noun.capitalize()),
            Numbers(self._label),
            *([Numbers("Already there")] if self._has_existing else ()),
            *([Numbers("Verified")] if self._is_verified else ()),
            Numbers("Images found"),
            Minor("Share"),
            Words("Status"),
        ]
        listed = list(islice(reports, MAX_FILES))
        made = table(titles, map(self._row, listed), states=map(_state, listed), name=name)
        if more := len(reports) - len(listed):
            rest = f"{quantity(more, f'more {self._facts.origin.program.row_noun}')} not shown."
            csv = self._facts.files_csv
            report = f" The full list is in {csv}." if csv else ""
            return HTML(made + paragraph(f"{rest}{report}"))
        return made

    def _row(self, report: FileReport) -> list[Shown]:
        good = report.good - (report.already_stored if self._is_dry else 0)
        share = report.good / report.images if report.images else 0
        return [
            report.entry.fw_path,
            good,
            *([report.already_stored] if self._has_existing else ()),
            *([report.verified or 0] if self._is_verified else ()),
            report.images,
            bar(share, _state(report), image_counts(report)),
            report.status,
        ]


def _state(report: FileReport) -> str:
    return "good" if report.is_complete else "part" if report.good else "bad"


def _modalities(facts: Facts) -> str:
    """Return a section with the number of series and images of each modality."""
    if not facts.modalities:
        return ""
    rows = [
        (count.modality, count.series, count.images, f"{count.bytes / MEGABYTE:,.1f} MB")
        for count in facts.modalities
    ]
    titles = ("Modality", Numbers("Series"), Numbers("Images found"), Numbers("Data"))
    cut = paragraph(f"Only the first {MAX_SERIES:,} series are counted.")
    limit = cut if facts.is_series_cut else ""
    return section("Modalities", table(titles, rows, name="modalities"), limit)


def _contexts(contexts: Sequence[tuple[Context, bool]]) -> str:
    """Return a matrix of accepted transfer syntaxes by SOP class."""
    if not contexts:
        return paragraph("No presentation context was proposed.")
    known = {(pair.abstract_syntax, pair.transfer_syntax): accepted for pair, accepted in contexts}
    classes = list(dict.fromkeys(abstract for abstract, _ in known))
    syntaxes = list(dict.fromkeys(transfer for _, transfer in known))
    words = {True: "yes", False: "no", None: ""}
    rows = [
        (
            name_of(abstract),
            [words[known.get((abstract, transfer))] for transfer in syntaxes[:MAX_CONTEXTS]],
        )
        for abstract in classes[:MAX_CONTEXTS]
    ]
    accepted = sum(known.values())
    more = len(classes) > MAX_CONTEXTS or len(syntaxes) > MAX_CONTEXTS
    return details(
        f"{accepted:,} of {len(known):,} accepted",
        matrix("SOP class", [name_of(syntax) for syntax in syntaxes[:MAX_CONTEXTS]], rows),
        paragraph(f"Only the first {MAX_CONTEXTS} rows and columns are shown.") if more else "",
    )


def _support_details(facts: Facts) -> Iterator[str]:
    """Yield the details for support requests: job, session and software versions."""
    origin = facts.origin
    yield paragraph("Include these details in support requests.")
    job: list[tuple[Shown, Shown]] = [("Job", origin.job_id)] if origin.job_id else []
    if origin.url:
        job.append(("Session", link(origin.url, origin.url)))
    yield table(("Software", "Version"), [*job, *facts.versions])
