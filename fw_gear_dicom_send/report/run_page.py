"""Self-contained HTML page with the result of a run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import groupby
from os.path import commonprefix

from ..account import Account, Example
from ..models import FileReport
from ..reasons import Kind
from ..report_names import Report
from ..sections import Bar, Details, Lines, Link, Named, Part, Parts, Section, Table, folded
from ..text import MEGABYTE, duration, natural_key, quantity, sentence
from . import charts, page, reason_groups
from .image_notes import content_text, missing_text
from .modality_counts import MAX_SERIES
from .reason_groups import ReasonGroup, main_cause
from .wording import NOT_COUNTED, at_least, headline, image_counts, is_uncounted, skipped_files

MAX_FILES = 1_000
"""Maximum number of listed incomplete files, and of listed complete files."""
_STOPPED = (Kind.NOT_REACHED, Kind.INTERRUPTED, Kind.NOT_VERIFIED)
"""Kinds of images that a run without an early end would have processed."""
MAX_TEXTS = 10
"""Maximum number of texts of a cause."""
MAX_NAMED = 20
"""Maximum number of images of a cause that are named with their files."""


def render(account: Account) -> str:
    """Return the page."""
    about, started = [account.server.label], account.started
    failures = reason_groups.failures(account.rows)
    return page.render(
        account.title,
        (main_cause(account) if not account.cause else "") or headline(account),
        is_good=account.is_complete and account.is_verified,
        note=_note(account, failures),
        about=[*about, f"{started:%Y-%m-%d %H:%M}"] if started else about,
        warnings=_sentences(account.warnings),
        facts=_head(account),
        tiles=_numbers(account),
        sections=_sections(account, failures),
    )


def _note(account: Account, failures: Sequence[ReasonGroup]) -> str:
    """Return the advice of an early end, else the verification or the most frequent failure."""
    if account.cause:
        return account.advice
    if not failures:
        return _verified(account)
    first, *others = failures
    advice = _advice(first.cause.kind, account)
    if main_cause(account):
        return advice
    text = max(first.texts, key=lambda text: first.texts[text])
    number = quantity(first.images, "image") if first.images else _rows(first.files, account)
    more = f" {quantity(len(others), 'more cause')} below." if others else ""
    return f"{number}: {text}. {advice}{more}"


def _sections(account: Account, failures: Sequence[ReasonGroup]) -> Iterator[Section]:
    folder = _common_folder(account)
    # The head has said why files were not reached.
    causes = [
        group
        for group in failures
        if group.images or not (account.cause and group.cause.kind is Kind.NOT_REACHED)
    ]
    wrong: Parts = (_causes(causes, account, folder),) if causes else ()
    if not account.is_verified and (failures or account.cause):  # else it is the note
        wrong = (_verified(account), *wrong)
    yield Section("What went wrong", wrong)
    notes = reason_groups.notes(account.rows)
    about = (missing_text(account.missing_identifiers), content_text(account.other_content))
    changes: Parts = (_causes(notes, account, folder, is_labelled=True),) if notes else ()
    yield Section("Warnings and changes", (*_sentences(about), *changes))
    left_out = [files.text for files in (*account.left_out, *account.without_image)]
    texts = _sentences((*left_out, skipped_files(account.skipped)))
    yield Section(_files_title(account), (*_files(account, folder), *texts))
    yield Section("Modalities", _modalities(account))
    work, request, used = account.throughput, account.server.request, account.connections
    parallel = _sentences([used.text] if used else [])
    yield Section("Speed", (*charts.rates(work), *parallel, *charts.times(request, work)))
    yield from account.sections
    yield Section("Details for support requests", _support_details(account))


def _common_folder(account: Account) -> str:
    """Return the beginning that the paths of all files have in common, up to its last slash."""
    if len(account.rows) < 2:
        return ""
    common = commonprefix([row.entry.path for row in account.rows])  # noqa: RUF071
    return common[: max(common.rfind("/"), common.rfind("\\")) + 1]


def _sentences(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(sentence, filter(None, texts)))


def _head(account: Account) -> Iterator[Named]:
    """Yield the server, the source, other facts about the server, and the times of the run."""
    origin, started = account.origin, account.started
    yield "Server", f"{account.server.label}, {account.server.security}"
    yield from account.server.details
    if origin.path:
        yield "Source", Link(origin.path, origin.url)
    folder = _common_folder(account)
    if folder.rstrip("/\\") not in ("", origin.path):
        yield "Paths are in", folder
    if started:
        yield "Started", _times(started, started + timedelta(seconds=account.throughput.seconds))
    if origin.job_id:
        yield "Job", origin.job_id


def _times(started: datetime, ended: datetime) -> str:
    """Return start and end with their UTC offset; the end has a date only if it is another day."""
    end = f"{ended:%H:%M:%S}" if ended.date() == started.date() else f"{ended:%Y-%m-%d %H:%M:%S}"
    zone = f"{started:%z}"
    offset = f" UTC{zone[:3]}:{zone[3:5]}" if zone else ""
    return f"{started:%Y-%m-%d %H:%M:%S}, ended {end}{offset}"


def _numbers(account: Account) -> Iterator[Named]:
    """Yield the numbers of the run that are not zero, and do not follow from others."""
    work, rows = account.throughput, account.rows
    if is_uncounted(rows):
        yield "Images", NOT_COUNTED
    if not account.images:
        return
    yield from _images(account)
    if checked := account.verification:
        yield "Images verified", f"{checked.verified:,} of {checked.images:,}"
    if len(rows) > 1:
        would_be = "that would be " if account.is_dry else ""
        complete = sum(row.is_complete for row in rows)
        yield f"{_files_title(account)} {would_be}complete", f"{complete:,} of {len(rows):,}"
    if sent := sum(work.bytes):
        yield "Data sent", _size(sent)
    yield "Time", duration(work.seconds)
    if rate := work.images_per_second:
        yield "Rate", f"{rate:,.1f} images/s"
    if work.losses:
        yield "Associations lost", len(work.losses)


def _rows(number: int, account: Account) -> str:
    """Return a number of rows of the report."""
    return quantity(number, account.origin.program.row_noun)


def _size(size: int) -> str:
    """Return a number of bytes in megabytes, or in kilobytes if it is small."""
    return f"{size / 1e3:,.1f} kB" if size < 1e5 else f"{size / MEGABYTE:,.1f} MB"


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


def _verified(account: Account) -> str:
    """Return the number of verified images, and advice for the others; empty without any."""
    if not (verification := account.verification):
        return ""
    advice = dict.fromkeys(_advice(reason.kind, account) for reason, _ in verification.causes)
    return " ".join([f"{verification.text}.", *advice])


def _causes(
    groups: Iterable[ReasonGroup], account: Account, folder: str, *, is_labelled: bool = False
) -> Table:
    """Return a table of causes, with a label if their texts are only parts of sentences."""
    rows: list[Parts] = []
    below: list[Parts] = []
    for group in groups:
        kind = group.cause.kind
        label = f"{kind.code.replace('-', ' ').capitalize()}: " if is_labelled else ""
        first, *others = sorted(group.texts, key=lambda text: -group.texts[text])
        rows.append((f"{label}{first}", group.images, group.files, _advice(kind, account)))
        below.append(_affected(group, others, account, folder))
    files = _files_title(account)
    columns = {"Reason": "", "Images": "number", files: "number", "What to do": "advice"}
    return Table(columns, rows, below=below)


def _advice(kind: Kind, account: Account) -> str:
    """Return the advice for a cause; if the run ended early, that for its end."""
    if kind in _STOPPED and account.error:
        return account.advice
    return kind.advice_for(account.origin.program)


def _affected(group: ReasonGroup, others: Sequence[str], account: Account, folder: str) -> Parts:
    """Return the other texts of a cause, its first images or files, and UIDs to copy."""
    parts: list[Part] = []
    if others:
        texts = [f"{text} ({group.texts[text]:,})" for text in others[:MAX_TEXTS]]
        if more := len(others) - len(texts):
            texts.append(f"and {more:,} more")
        parts.append(Details(quantity(len(others), "similar message"), (texts,)))
    examples = account.examples.get(group.cause, ()) if group.images else ()
    if named := examples[:MAX_NAMED] or group.paths:
        total = group.images if examples else group.files
        affected = quantity(
            total, f"affected {'image' if examples else account.origin.program.row_noun}"
        )
        report = account.report(Report.IMAGES if examples else Report.FILES)
        is_cut = total > len(named)
        rest = (f"The full list is in {report}.",) if is_cut and report else ()
        summary = f"First {len(named)} of {affected}" if is_cut else affected
        names = _names(examples[:MAX_NAMED], folder) or (
            [path.removeprefix(folder) for path in group.paths],
        )
        parts.append(Details(summary, (*names, *rest)))
    if uids := [image.uid for image in examples if image.uid]:
        title = quantity(group.images, "SOP Instance UID")
        part = f"First {len(uids):,} of {title}" if len(uids) < group.images else title
        parts.append(Details(f"{part} to copy", (Lines(title, uids),)))
    return tuple(parts)


def _names(images: Iterable[Example], folder: str) -> Parts:
    """Return the path of each file once, then its images by member and UID."""
    parts: list[Part] = []
    for path, of_path in groupby(images, key=lambda image: image.path):
        parts.append(path.removeprefix(folder))
        names = [", ".join(filter(None, (image.member, image.uid))) for image in of_path]
        parts.append([name for name in names if name])
    return tuple(part for part in parts if part)


def _files(account: Account, folder: str) -> Parts:
    """Return the files: incomplete ones, then complete ones, then those without a result.

    Many complete files, and those that an early end left unprocessed, are collapsed.
    """
    noun, report = account.origin.program.row_noun, account.report(Report.FILES)
    unreached = [row.entry.path.removeprefix(folder) for row in account.rows if row.is_unreached]
    reached = [row for row in account.rows if not row.is_unreached]
    good = [row for row in reached if row.is_complete]
    bad = [row for row in reached if not row.is_complete]
    columns: list[tuple[str, str, Callable[[FileReport], Part]]] = [
        (noun.capitalize(), "long", lambda row: row.entry.path.removeprefix(folder)),
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
        "Verified": not account.verification or account.verification.is_whole,
        "Share": account.is_complete,
        "Status": account.is_dry,
    }
    columns = [column for column in columns if not unused.get(column[0])]
    rows: list[Sequence[Part]] = []
    states: list[str] = []
    for group in (bad, good):
        shown = nsmallest(MAX_FILES, group, _order)
        cut = len(group) - len(shown)
        # Rows that the page does not show have no cells: these take much memory.
        rows += [*([cell(row) for _, _, cell in columns] for row in shown), *[()] * cut]
        states += [*map(_state, shown), *[_state(group[-1])] * cut] if group else []
    table = Table({title: look for title, look, _ in columns}, rows, states, "files")
    parts = folded(table, noun, MAX_FILES, report) if rows else ()
    if unreached:
        more = len(unreached) - MAX_FILES
        rest = (f"{quantity(more, f'more {noun}')} not shown.",) if more > 0 else ()
        summary = f"{_rows(len(unreached), account)} not processed"
        parts = (*parts, Details(summary, (nsmallest(MAX_FILES, unreached, natural_key), *rest)))
    return parts


def _order(report: FileReport) -> tuple[bool, object]:
    """Return the sort key of a file among the complete ones, or among the others."""
    return bool(report.good), natural_key(report.entry.path)


def _bar(report: FileReport) -> Bar:
    share = report.good / report.images if report.images else 0
    return Bar(share, _state(report), image_counts(report))


def _state(report: FileReport) -> str:
    return "good" if report.is_complete else "part" if report.good else "bad"


def _modalities(account: Account) -> Parts:
    """Return the number of series and images of each modality."""
    rows = [
        (count.modality, count.series, count.images, _size(count.bytes))
        for count in account.modalities
    ]
    if not rows:
        return ()
    columns = {"Modality": "", "Series": "number", "Images found": "number", "Data": "number"}
    cut = (f"Only the first {MAX_SERIES:,} series are counted.",) if account.is_series_cut else ()
    return (Table(columns, rows, name="modalities"), *cut)


def _support_details(account: Account) -> Parts:
    """Return the options in effect and the versions of the software."""
    program = account.origin.program
    options = [
        (program.option(option.name), option.show(value)) for option, value in account.options
    ]
    return (
        Details("Options", (Table({"Option": "", "Value": ""}, options),)),
        Details("Versions", (Table({"Software": "", "Version": ""}, account.versions),)),
    )
