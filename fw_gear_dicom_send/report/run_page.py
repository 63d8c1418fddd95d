"""A page that shows at a glance what became of a run, and loads nothing from elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import islice, pairwise

from ..dicom.uids import name_of
from ..models import FileReport
from ..network.contexts import Context
from ..reasons import Kind
from .html import bar, page, row, table, tiles
from .throughput import LIMITS, ThroughputCounts
from .verification import VerificationSummary
from .wording import counted, headline, is_complete, is_dry

_MEGABYTE = 1e6
_WIDTH, _HEIGHT, _MARGIN = 640, 160, 28
_PAGE = page(
    "Started on $started",
    """\
<h2>Files</h2>
<div class="wide"><table id="files">
<thead><tr><th scope="col">File</th><th scope="col">$images</th><th scope="col">Share</th>
<th scope="col">Status</th></tr></thead>
<tbody>
$files</tbody></table></div>
$skipped
<h2>Images a second</h2>
$rate
<h2>C-STORE times</h2>
$durations
<h2>Presentation contexts</h2>
$contexts
<h2>Configuration</h2>
$config
<h2>Versions</h2>
$versions
""",
)


@dataclass(frozen=True)
class Facts:
    """What the page says besides the files: all of it is fit for anybody's eyes.

    `verification` is None where it was not asked for.
    """

    title: str
    started: datetime
    throughput: ThroughputCounts
    contexts: Sequence[tuple[Context, bool]]
    config: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]
    verification: VerificationSummary | None = None
    skipped: str = ""
    left_out: Sequence[str] = ()


def render(reports: Sequence[FileReport], facts: Facts) -> str:
    """Return the page."""
    verification = facts.verification
    is_verified = not verification or verification.is_whole
    complete = sum(report.is_complete for report in reports)
    is_good = is_complete(reports) and is_verified
    megabytes = sum(facts.throughput.bytes) / _MEGABYTE
    seconds = facts.throughput.seconds
    sent = sum(facts.throughput.images)
    label = _label(reports)
    would_be = "Files that would be complete"
    numbers = [
        *_images(reports, label),
        (would_be if is_dry(reports) else "Files complete", f"{complete:,} of {len(reports):,}"),
        ("Data sent", f"{megabytes:,.1f} MB"),
        ("Time", f"{seconds:,.1f} s"),
        ("Rate", f"{sent / seconds:,.1f} images/s" if seconds else "-"),
    ]
    if verification:
        count = f"{verification.verified:,} of {verification.images:,}"
        numbers.insert(1, ("Images verified", count))
    return _PAGE.substitute(
        title=escape(facts.title),
        started=f"{facts.started:%Y-%m-%d %H:%M:%S}",
        state="good" if is_good else "bad",
        outcome=headline(*reports, is_verified=is_verified),
        images=label,
        tiles=tiles(numbers),
        failures=_verified(verification)
        + _failures(reports, is_verified=is_verified)
        + _replaced(reports),
        files="".join(map(_file, reports)),
        skipped="".join(f"<p>{escape(text)}.</p>" for text in _not_sent(facts)),
        rate=_rate(facts.throughput),
        durations=_durations(facts.throughput),
        contexts=table(
            ("SOP class", "Transfer syntax", "Accepted"),
            [
                (
                    name_of(context.abstract_syntax),
                    name_of(context.transfer_syntax),
                    _yes(accepted),
                )
                for context, accepted in facts.contexts
            ],
        ),
        config=table(("Option", "Value"), facts.config),
        versions=table(("Software", "Version"), facts.versions),
    )


def _not_sent(facts: Facts) -> Sequence[str]:
    """Return what was left out of the run, and what was skipped in its files."""
    return [*facts.left_out, *([facts.skipped] if facts.skipped else [])]


def _label(reports: Sequence[FileReport]) -> str:
    """Return what the good images of a file are called."""
    if is_dry(reports):
        return "Would be sent"
    already = any(report.already_stored for report in reports)
    return "Images on the server" if already else "Images sent"


def _images(reports: Sequence[FileReport], label: str) -> list[tuple[str, str]]:
    """Return the numbers of images: with existing images, they are told from those sent."""
    images = sum(report.images for report in reports)
    already = sum(report.already_stored for report in reports)
    good = sum(report.good for report in reports)
    if is_dry(reports):
        good -= already
    numbers = [(label, f"{good:,} of {images:,}")]
    if already:
        numbers.append(("Already there", f"{already:,}"))
        if not is_dry(reports):
            numbers.append(("Images sent", f"{sum(report.sent for report in reports):,}"))
    return numbers


def _verified(verification: VerificationSummary | None) -> str:
    """Say how many images were verified, and what to do about the others."""
    if not verification:
        return ""
    advice = dict.fromkeys(reason.advice for reason, _ in verification.causes)
    return f"<p>{escape(' '.join([f'{verification.text}.', *advice]))}</p>"


def _failures(reports: Iterable[FileReport], *, is_verified: bool) -> str:
    """Group what went wrong by its reason."""
    groups: dict[tuple[str, str], list[int]] = {}
    for report in reports:
        for remark in report.remarks:
            if remark.failure:
                key = remark.text, remark.advice
                images, files = groups.get(key, (0, 0))
                groups[key] = [images + remark.images, files + 1]
    if not groups:
        return "<p>Nothing went wrong.</p>" if is_verified else ""
    rows = sorted(groups.items(), key=lambda group: group[1], reverse=True)
    return table(
        ("Reason", "Images", "Files", "What to do"),
        [(text, str(images), str(files), advice) for (text, advice), (images, files) in rows],
    )


def _replaced(reports: Iterable[FileReport]) -> str:
    """Name the files that were replaced during the run, up to 20 of them."""
    remarks = {
        report.entry.fw_path: remark
        for report in reports
        for remark in report.remarks
        if remark.kind is Kind.REPLACED
    }
    lines = [f"{path}: {one.text}. {one.advice}" for path, one in islice(remarks.items(), 20)]
    if more := len(remarks) - len(lines):
        lines.append(f"So were {more} more files.")
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _file(report: FileReport) -> str:
    share = report.good / report.images if report.images else 0
    state = "good" if report.is_complete else "part" if report.good else "bad"
    count = f"{report.good} of {report.images}"
    if report.already_stored:
        count += f" ({report.already_stored} already there)"
    shown = bar(share, state, counted(report))
    return row(state, (escape(report.entry.fw_path), count, shown, report.status))


def _rate(throughput: ThroughputCounts) -> str:
    """Draw images a second over time."""
    rates = [count / throughput.slot_seconds for count in throughput.images]
    highest = max(rates, default=0)
    if not highest:
        return "<p>No image was sent.</p>"
    width = (_WIDTH - 2 * _MARGIN) / len(rates)
    bars = "".join(
        _bar(_MARGIN + place * width, max(width - 1, 0.5), rate / highest)
        for place, rate in enumerate(rates)
    )
    end = len(rates) * throughput.slot_seconds
    return _chart(
        f"Images a second over the {end:.0f} s of the run, at most {highest:.0f}",
        bars,
        (("start", _MARGIN, "0 s"), ("end", _WIDTH - _MARGIN, f"{end:.0f} s")),
        f"{highest:.0f}/s",
    )


def _durations(throughput: ThroughputCounts) -> str:
    """Draw how many C-STOREs took how long."""
    highest = max(throughput.durations, default=0)
    if not highest:
        return "<p>No image was sent.</p>"
    width = (_WIDTH - 2 * _MARGIN) / len(throughput.durations)
    bars = "".join(
        _bar(_MARGIN + place * width + 1, width - 2, count / highest, f"{words}: {count} images")
        for place, (count, words) in enumerate(zip(throughput.durations, _ranges(), strict=True))
    )
    labels = [
        ("middle", _MARGIN + (place + 1) * width, _time(limit))
        for place, limit in enumerate(LIMITS)
    ]
    most = _ranges()[throughput.durations.index(highest)]
    return _chart(f"C-STORE times, most of them {most}", bars, labels, f"{highest}")


def _ranges() -> list[str]:
    between = [f"{_time(low)} to {_time(high)}" for low, high in pairwise(LIMITS)]
    return [f"under {_time(LIMITS[0])}", *between, f"over {_time(LIMITS[-1])}"]


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _bar(left: float, width: float, share: float, title: str = "") -> str:
    room = _HEIGHT - 2 * _MARGIN
    height = share * room
    told = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect class="mark" x="{left:.1f}" y="{_MARGIN + room - height:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}">{told}</rect>'
    )


def _chart(title: str, marks: str, labels: Iterable[tuple[str, float, str]], highest: str) -> str:
    base = _HEIGHT - _MARGIN
    texts = "".join(
        f'<text x="{left:.1f}" y="{base + 16}" text-anchor="{anchor}">{escape(text)}</text>'
        for anchor, left, text in labels
    )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{marks}'
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{base}" y2="{base}"/>'
        f'<text x="{_MARGIN}" y="{_MARGIN - 8}">{escape(highest)}</text>{texts}</svg>'
    )


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
