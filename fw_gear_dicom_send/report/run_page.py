"""A page that shows at a glance what became of a run, and loads nothing from elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from ..dicom.uids import name_of, printable_uid_or_empty
from ..models import FileReport, Origin
from ..network.contexts import Context
from ..network.types import PeerAE, TLSConfig
from ..reasons import Program
from ..text import duration, natural_key
from . import charts, reason_groups
from .html import (
    HTML,
    Named,
    Numbers,
    Shown,
    Words,
    bar,
    details,
    items,
    link,
    matrix,
    page,
    paragraph,
    section,
    table,
)
from .modality_counts import ModalityCount
from .reason_groups import ImageExample, ImageExamples, ReasonGroup
from .throughput import ThroughputCounts
from .verification import VerificationSummary
from .wording import counted, headline, is_complete, is_dry

MAX_FILES = 1_000
"""Files with trouble that are listed, and complete ones."""
MAX_OPEN_FILES = 20
"""Complete files that are shown without a click."""
MAX_TEXTS = 10
"""Texts of a cause that are shown."""
MAX_CONTEXTS = 60
"""SOP classes and transfer syntaxes in the matrix."""
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Facts:
    """What the page says besides the files: all of it is fit for anybody's eyes.

    `verification` is None where it was not asked for. `files_csv` and `images_csv` are the names
    of the reports that come with the page, empty where there is none.
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
        """What the rows of the report are: the command has folders and archives."""
        return "Files" if self.origin.program is Program.GEAR else "Paths"


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
            section(facts.files, *_files(reports, facts), *map(paragraph, _not_sent(facts))),
            _modalities(facts),
            section("Images a second", charts.rates(facts.throughput)),
            section("C-STORE times", charts.store_times(facts.throughput)),
            section("Presentation contexts", _contexts(facts.contexts)),
            section("Configuration", details("Options", table(("Option", "Value"), facts.config))),
            section("Versions", *_support(facts)),
        ),
        is_good=is_complete(reports) and is_verified,
    )


def _head(facts: Facts) -> Iterator[Named]:
    """Say where the images came from and went to, and when."""
    peer, origin = facts.peer, facts.origin
    secured = f"TLS ({facts.tls.profile})" if facts.tls else "no TLS"
    yield "To", f"AE {peer.called_ae} at {peer.host}, port {peer.port}, {secured}"
    if origin.path:
        yield "From", link(origin.path, origin.url)
    yield "As", f"AE {peer.calling_ae}"
    seconds = facts.throughput.seconds
    yield "Started", _moment(facts.started)
    yield "Ended", f"{_moment(facts.started + timedelta(seconds=seconds))}, {duration(seconds)}"
    if origin.job_id:
        yield "Job", origin.job_id


def _moment(time: datetime) -> str:
    """Return a time with what it is ahead of UTC."""
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
        ("Data sent", f"{sum(work.bytes) / _MEGABYTE:,.1f} MB"),
        ("Time", duration(seconds)),
        ("Rate", f"{sent / seconds:,.1f} images/s" if seconds else "-"),
    ]
    if checked := facts.verification:
        numbers.insert(1, ("Images verified", f"{checked.verified:,} of {checked.images:,}"))
    if work.losses:
        numbers.append(("Associations lost", len(work.losses)))
    return numbers


def _not_sent(facts: Facts) -> Iterator[str]:
    """Yield what was left out of the run, and what was skipped in its files."""
    for text in (*facts.left_out, facts.skipped):
        if text:
            yield f"{text}."


def _label(reports: Sequence[FileReport]) -> str:
    """Return what the good images of a file are called."""
    if is_dry(reports):
        return "Would be sent"
    already = any(report.already_stored for report in reports)
    return "Images on the server" if already else "Images sent"


def _images(reports: Sequence[FileReport], label: str) -> Iterator[Named]:
    """Yield the numbers of images: with existing images, they are told from those sent."""
    images = sum(report.images for report in reports)
    already = sum(report.already_stored for report in reports)
    good = sum(report.good for report in reports)
    if is_dry(reports):
        good -= already
    yield label, f"{good:,} of {images:,}"
    if already:
        yield "Already there", already
        if not is_dry(reports):
            yield "Images sent", sum(report.sent for report in reports)


def _verified(facts: Facts) -> str:
    """Say how many images were verified, and what to do about the others."""
    if not (verification := facts.verification):
        return ""
    advice = dict.fromkeys(
        reason.kind.advice_for(facts.origin.program) for reason, _ in verification.causes
    )
    return paragraph(" ".join([f"{verification.text}.", *advice]))


def _failures(reports: Iterable[FileReport], facts: Facts, *, is_verified: bool) -> str:
    """Group what went wrong by its cause."""
    groups = reason_groups.failures(reports)
    if not groups:
        return paragraph("Nothing went wrong.") if is_verified else ""
    return _causes(groups, facts)


def _notes(reports: Iterable[FileReport], facts: Facts) -> str:
    """Group the warnings of the server and what was changed, by cause."""
    groups = reason_groups.notes(reports)
    if not groups:
        return ""
    return section("Warnings and changes", _causes(groups, facts, _note_label))


def _no_label(_: ReasonGroup) -> str:
    return ""


def _note_label(group: ReasonGroup) -> str:
    """Say what was done to the images: their texts alone are parts of sentences."""
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
    """Return the text of a cause with a label, its other texts, and its first images or files."""
    first, *others = sorted(group.texts, key=lambda text: -group.texts[text])
    parts = [paragraph(f"{label}{first}")]
    if others:
        texts = [f"{text} ({group.texts[text]:,})" for text in others[:MAX_TEXTS]]
        if more := len(others) - len(texts):
            texts.append(f"and {more:,} more")
        parts.append(details(f"{len(others):,} similar", items(texts)))
    examples = facts.examples.of(group.cause)
    named: list[Shown] = [_example(one) for one in examples] if group.images else []
    total = group.images or group.files
    named = named or list(group.paths)
    if named:
        what = "images" if examples and group.images else facts.files.lower()
        report = facts.images_csv if group.images else facts.files_csv
        is_cut = total > len(named)
        summary = f"First {len(named)} of {total:,} {what}" if is_cut else f"Which {what}"
        rest = paragraph(f"All are in {report}.") if is_cut and report else ""
        parts.append(details(summary, items(named), rest))
    return HTML("".join(parts))


def _example(image: ImageExample) -> str:
    uid = printable_uid_or_empty(image.sop_instance_uid)
    return ", ".join(part for part in (image.path, image.member, uid) if part)


def _files(reports: Sequence[FileReport], facts: Facts) -> Iterator[str]:
    """Yield the files: those with trouble first, complete ones to be opened if they are many."""
    ordered = sorted(reports, key=lambda report: natural_key(report.entry.fw_path))
    troubled = [one for one in ordered if not one.is_complete]
    troubled.sort(key=lambda report: report.good > 0)
    complete = [one for one in ordered if one.is_complete]
    shape = _Columns(reports, facts)
    if len(complete) <= MAX_OPEN_FILES:
        yield shape.table([*troubled, *complete], "files")
        return
    if troubled:
        yield shape.table(troubled, "files")
    title = f"{len(complete):,} complete {facts.files.lower()}"
    yield details(title, shape.table(complete, "complete-files"))


class _Columns:
    """The columns that a run has for its files."""

    def __init__(self, reports: Sequence[FileReport], facts: Facts) -> None:
        self._is_dry = is_dry(reports)
        self._has_existing = any(report.already_stored for report in reports)
        self._is_verified = facts.verification is not None
        self._label = _label(reports)
        self._facts = facts

    def table(self, reports: Sequence[FileReport], name: str) -> HTML:
        """Return a table of files, and how many there are more."""
        titles = [
            self._facts.files.removesuffix("s"),
            Numbers(self._label),
            *([Numbers("Already there")] if self._has_existing else ()),
            *([Numbers("Verified")] if self._is_verified else ()),
            Numbers("Images found"),
            "Share",
            Words("Status"),
        ]
        listed = list(islice(reports, MAX_FILES))
        made = table(titles, map(self._row, listed), states=map(_state, listed), name=name)
        if more := len(reports) - len(listed):
            report = f": {self._facts.files_csv} has all" if self._facts.files_csv else ""
            return HTML(made + paragraph(f"And {more:,} more{report}."))
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
            bar(share, _state(report), counted(report)),
            report.status,
        ]


def _state(report: FileReport) -> str:
    return "good" if report.is_complete else "part" if report.good else "bad"


def _modalities(facts: Facts) -> str:
    """Count the images of each modality, and their series."""
    if not facts.modalities:
        return ""
    rows = [
        (one.modality, one.series, one.images, f"{one.bytes / _MEGABYTE:,.1f} MB")
        for one in facts.modalities
    ]
    titles = ("Modality", Numbers("Series"), Numbers("Images found"), Numbers("Data"))
    cut = paragraph("There are more series than are counted.") if facts.is_series_cut else ""
    return section("Modalities", table(titles, rows, name="modalities"), cut)


def _contexts(contexts: Sequence[tuple[Context, bool]]) -> str:
    """Show which transfer syntaxes the server accepted for which SOP class."""
    if not contexts:
        return paragraph("None was proposed.")
    known = {(one.abstract_syntax, one.transfer_syntax): accepted for one, accepted in contexts}
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
        matrix("SOP class", [name_of(one) for one in syntaxes[:MAX_CONTEXTS]], rows),
        paragraph(f"Only the first {MAX_CONTEXTS} are shown.") if more else "",
    )


def _support(facts: Facts) -> Iterator[str]:
    """Yield what to quote to support: the job, where it ran, and the software."""
    origin = facts.origin
    yield paragraph("Quote these if you ask for support.")
    job: list[tuple[Shown, Shown]] = [("Job", origin.job_id)] if origin.job_id else []
    if origin.url:
        job.append(("Session", link(origin.url, origin.url)))
    yield table(("Software", "Version"), [*job, *facts.versions])
