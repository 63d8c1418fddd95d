"""Self-contained HTML page with the result of a run."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from ..account import Account
from ..models import FileReport
from ..reasons import Kind
from ..report_names import Report
from ..sections import Bar, Details, Link, Named, Part, Parts, Section, Table, folded
from ..text import MEGABYTE, duration, natural_key, quantity, sentence
from . import charts, page, reason_groups
from .image_notes import content_text, missing_text
from .modality_counts import MAX_SERIES
from .reason_groups import ReasonGroup, main_cause
from .wording import at_least, headline, image_counts, skipped_files

MAX_FILES = 1_000
"""Maximum number of listed incomplete files, and of listed complete files."""
_STOPPED = (Kind.NOT_REACHED, Kind.INTERRUPTED, Kind.NOT_VERIFIED)
"""Kinds of images that a run without an early end would have processed."""
MAX_TEXTS = 10
"""Maximum number of texts of a cause."""


def render(account: Account) -> str:
    """Return the page."""
    outcome = main_cause(account) if not account.cause else ""
    outcome = outcome or headline(account)
    return page.render(
        account.title,
        f"{outcome}. {account.advice}" if account.advice else outcome,
        is_good=account.is_complete and account.is_verified,
        facts=_head(account),
        tiles=_numbers(account),
        sections=_sections(account),
    )


def _sections(account: Account) -> Iterator[Section]:
    failures, notes = reason_groups.failures(account.rows), reason_groups.notes(account.rows)
    wrong: Parts = (_causes(failures, account),) if failures else ()
    if account.is_complete and account.is_verified:
        wrong = ("Nothing went wrong.",)
    yield Section("What went wrong", (*_verified(account), *wrong))
    about = (
        *account.warnings,
        missing_text(account.missing_identifiers),
        content_text(account.other_content),
    )
    changes: Parts = (_causes(notes, account, is_labelled=True),) if notes else ()
    if warnings := (*_sentences(about), *changes):
        yield Section("Warnings and changes", warnings)
    left_out = [files.text for files in (*account.left_out, *account.without_image)]
    texts = _sentences((*left_out, skipped_files(account.skipped)))
    yield Section(_files_title(account), (*_files(account), *texts))
    if account.modalities:
        yield Section("Modalities", _modalities(account))
    yield charts.rates(account.throughput)
    yield charts.times(f"{account.server.request} times", account.throughput)
    yield from account.sections
    program = account.origin.program
    values = [
        (program.option(option.name), option.show(value)) for option, value in account.options
    ]
    options = Table({"Option": "", "Value": ""}, values)
    yield Section("Configuration", (Details("Options", (options,)),))
    yield Section("Versions", _support_details(account))


def _sentences(texts: Iterable[str]) -> Parts:
    return tuple(map(sentence, filter(None, texts)))


def _head(account: Account) -> Iterator[Named]:
    """Yield the server, the source, other facts about the server, and the times of the run."""
    origin, seconds, started = account.origin, account.throughput.seconds, account.started
    yield "Server", f"{account.server.label}, {account.server.security}"
    if origin.path:
        yield "Source", Link(origin.path, origin.url)
    yield from account.server.details
    if started:
        yield "Started", _format_time(started)
        ended = _format_time(started + timedelta(seconds=seconds))
        yield "Ended", f"{ended}, {duration(seconds)}"
    if origin.job_id:
        yield "Job", origin.job_id


def _format_time(time: datetime) -> str:
    """Return a time with its UTC offset."""
    zone = f"{time:%z}"
    return f"{time:%Y-%m-%d %H:%M:%S}" + (f" UTC{zone[:3]}:{zone[3:5]}" if zone else "")


def _numbers(account: Account) -> list[Named]:
    """Return the numbers of the run."""
    complete = sum(row.is_complete for row in account.rows)
    work = account.throughput
    would_be = "that would be " if account.is_dry else ""
    numbers: list[Named] = [
        *_images(account),
        (f"{_files_title(account)} {would_be}complete", f"{complete:,} of {len(account.rows):,}"),
        ("Data sent", f"{sum(work.bytes) / MEGABYTE:,.1f} MB"),
        ("Time", duration(work.seconds)),
        ("Rate", f"{rate:,.1f} images/s" if (rate := work.images_per_second) else "-"),
    ]
    if checked := account.verification:
        numbers.insert(1, ("Images verified", f"{checked.verified:,} of {checked.images:,}"))
    if work.losses:
        numbers.append(("Associations lost", len(work.losses)))
    return numbers


def _files_title(account: Account) -> str:
    """Return the heading for the rows of the report."""
    return f"{account.origin.program.row_noun.capitalize()}s"


def _label(account: Account) -> str:
    """Return the label for the good images of a file."""
    if account.is_dry:
        return "Would be sent"
    is_known = account.already_stored or account.duplicates
    return "Images on the server" if is_known else "Images sent"


def _images(account: Account) -> Iterator[Named]:
    """Yield the numbers of images, separately for existing and sent images."""
    already, duplicates = account.already_stored, account.duplicates
    good = account.planned if account.is_dry else account.sent + already + duplicates
    yield _label(account), f"{good:,} of {at_least(account.rows)}{account.images:,}"
    if already:
        yield "Already there", already
    if duplicates:
        yield "Duplicates", duplicates
    if (already or duplicates) and not account.is_dry:
        yield "Images sent", account.sent


def _verified(account: Account) -> Parts:
    """Return the number of verified images, and advice for the others."""
    if not (verification := account.verification):
        return ()
    advice = dict.fromkeys(_advice(reason.kind, account) for reason, _ in verification.causes)
    return (" ".join([f"{verification.text}.", *advice]),)


def _causes(groups: Iterable[ReasonGroup], account: Account, *, is_labelled: bool = False) -> Table:
    """Return a table of causes, with a label if their texts are only parts of sentences."""
    rows: list[Parts] = []
    for group in groups:
        kind = group.cause.kind
        label = f"{kind.code.replace('-', ' ').capitalize()}: " if is_labelled else ""
        cause = _cause(group, account, label)
        rows.append((cause, group.images, group.files, _advice(kind, account)))
    columns = {"Reason": "", "Images": "number", _files_title(account): "number", "What to do": ""}
    return Table(columns, rows)


def _advice(kind: Kind, account: Account) -> str:
    """Return the advice for a cause; if the run ended early, that for its end."""
    if kind in _STOPPED and account.error:
        return account.advice
    return kind.advice_for(account.origin.program)


def _cause(group: ReasonGroup, account: Account, label: str) -> Parts:
    """Return the label and text of a cause, its other texts, and its first images or files."""
    first, *others = sorted(group.texts, key=lambda text: -group.texts[text])
    parts: list[Part] = [f"{label}{first}"]
    if others:
        texts = [f"{text} ({group.texts[text]:,})" for text in others[:MAX_TEXTS]]
        if more := len(others) - len(texts):
            texts.append(f"and {more:,} more")
        parts.append(Details(quantity(len(others), "similar message"), (texts,)))
    examples = account.examples.get(group.cause, ()) if group.images else ()
    if named := list(examples) or group.paths:
        total = group.images if examples else group.files
        affected = quantity(
            total, f"affected {'image' if examples else account.origin.program.row_noun}"
        )
        report = account.report(Report.IMAGES if examples else Report.FILES)
        is_cut = total > len(named)
        rest = (f"The full list is in {report}.",) if is_cut and report else ()
        summary = f"First {len(named)} of {affected}" if is_cut else affected
        parts.append(Details(summary, (named, *rest)))
    return tuple(parts)


def _files(account: Account) -> Parts:
    """Return tables of the files, incomplete ones first; many complete files are collapsed."""
    noun = account.origin.program.row_noun
    rows = sorted(account.rows, key=lambda row: natural_key(row.entry.path))
    rows.sort(key=lambda row: ("bad", "part", "good").index(_state(row)))
    columns: list[tuple[str, str, Callable[[FileReport], Part]]] = [
        (noun.capitalize(), "long", lambda row: row.entry.path),
        (_label(account), "number", lambda row: row.stored if row.planned is None else row.planned),
        ("Already there", "number", lambda row: row.already_stored),
        ("Duplicates", "number", lambda row: row.duplicates),
        ("Verified", "number", lambda row: row.verified or 0),
        ("Images found", "number", lambda row: row.images),
        ("Share", "minor", _bar),
        ("Status", "words", lambda row: row.status),
    ]
    unused = {
        "Already there": not account.already_stored,
        "Duplicates": not account.duplicates,
        "Verified": not account.verification,
    }
    columns = [column for column in columns if not unused.get(column[0])]
    table = Table(
        {title: look for title, look, _ in columns},
        [[cell(row) for _, _, cell in columns] for row in rows],
        [_state(row) for row in rows],
        "files",
    )
    return folded(table, noun, MAX_FILES, account.report(Report.FILES))


def _bar(report: FileReport) -> Bar:
    share = report.good / report.images if report.images else 0
    return Bar(share, _state(report), image_counts(report))


def _state(report: FileReport) -> str:
    return "good" if report.is_complete else "part" if report.good else "bad"


def _modalities(account: Account) -> Parts:
    """Return the number of series and images of each modality."""
    rows = [
        (count.modality, count.series, count.images, f"{count.bytes / MEGABYTE:,.1f} MB")
        for count in account.modalities
    ]
    columns = {"Modality": "", "Series": "number", "Images found": "number", "Data": "number"}
    cut = (f"Only the first {MAX_SERIES:,} series are counted.",) if account.is_series_cut else ()
    return (Table(columns, rows, name="modalities"), *cut)


def _support_details(account: Account) -> Parts:
    """Return the details for support requests: job, session and software versions."""
    origin = account.origin
    rows: list[tuple[str, Part]] = [("Job", origin.job_id)] if origin.job_id else []
    if origin.url:
        rows.append(("Session", Link(origin.url, origin.url)))
    table = Table({"Software": "", "Version": ""}, [*rows, *account.versions])
    return ("Include these details in support requests.", table)
