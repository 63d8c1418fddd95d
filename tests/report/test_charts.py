"""Drawing of the charts on the page of a run."""

from itertools import pairwise

import pytest

from fw_gear_dicom_send.account import Account, StoreTimes, ThroughputCounts
from fw_gear_dicom_send.config import server_name
from fw_gear_dicom_send.models import FileReport
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.text import quantity
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.html_reading import Element, parsed
from tests.support.pages import render

RANGES = (
    "under 2 ms",
    "2 ms to 5 ms",
    "5 ms to 10 ms",
    "10 ms to 20 ms",
    "20 ms to 50 ms",
    "50 ms to 100 ms",
    "100 ms to 200 ms",
    "200 ms to 500 ms",
    "500 ms to 1 s",
    "1 s to 2 s",
    "2 s to 5 s",
    "5 s to 10 s",
    "over 10 s",
)
COUNTS = (*range(1, 12), 40, 20)
THROUGHPUT = ThroughputCounts(4.0, (10, 40, 20), (1, 1, 1), COUNTS, 11.5)


def page_of(throughput: ThroughputCounts, *reports: FileReport) -> Element:
    server = server_name(PeerAE("pacs.example.org", 104, "PACS", "flywheel"), "")
    return parsed(render(reports, Account(title="T", throughput=throughput, server=server)))


@pytest.fixture(name="charts")
def _charts() -> list[Element]:
    """Return the chart of rates and the chart of C-STORE times."""
    page = page_of(THROUGHPUT)
    return [chart for chart in page.all("svg") if chart.attributes["class"] == "chart"]


def bars_of(chart: Element) -> list[tuple[float, float, float, float]]:
    """Return the left, right, top and bottom of each bar."""
    return [
        (
            bar.number("x"),
            bar.number("x") + bar.number("width"),
            bar.number("y"),
            bar.number("y") + bar.number("height"),
        )
        for bar in chart.all("rect")
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_bars_are_side_by_side_on_the_axis(charts: list[Element], which: int) -> None:
    """They fill the axis from end to end without overlap."""
    line, bars = charts[which].one("line"), bars_of(charts[which])
    assert line.number("y1") == line.number("y2")
    assert [lower for _, _, _, lower in bars] == pytest.approx([line.number("y1")] * len(bars), 0.1)
    assert bars[0][0] == pytest.approx(line.number("x1"), abs=1)
    assert bars[-1][1] == pytest.approx(line.number("x2"), abs=1)
    gaps = [right[0] - left[1] for left, right in pairwise(bars)]
    assert all(0.8 < gap < 2.2 for gap in gaps)
    widths = [right - left for left, right, _, _ in bars]
    assert max(widths) - min(widths) < 0.3


@pytest.mark.parametrize(("which", "counts"), [(0, (10, 40, 20)), (1, COUNTS)])
def test_the_height_of_a_bar_is_proportional_to_its_count(
    charts: list[Element], which: int, counts: tuple[int, ...]
) -> None:
    """The highest bar is at most as high as the axis, and the others are proportional."""
    heights = [lower - upper for _, _, upper, lower in bars_of(charts[which])]
    assert heights == pytest.approx([max(heights) * n / 40 for n in counts], abs=0.1)
    bottom, middle, top = (text.number("y") for text in charts[which].all("text")[:3])
    assert top <= min(upper for _, _, upper, _ in bars_of(charts[which])) < middle < bottom
    assert bottom == charts[which].one("line").number("y1")


@pytest.mark.parametrize("which", [0, 1])
def test_a_chart_is_within_its_picture(charts: list[Element], which: int) -> None:
    """No bar, line or text is outside the picture; labels are beside and below the axes."""
    left, top, width, height = map(int, (charts[which].attributes["viewbox"] or "").split())
    assert (left, top, width, height) == (0, 0, 640, 210)
    line = charts[which].one("line").number("y1")
    for start, end, upper, lower in bars_of(charts[which]):
        assert 0 < start < end < width
        assert 0 < upper <= lower <= line + 0.1
    for label in charts[which].all("text"):
        assert 0 < label.number("x") < width
        assert 0 < label.number("y") < height
    for label in charts[which].all("text")[3:-2]:
        assert label.number("y") > line + 10


def test_the_chart_of_rates_shows_duration_and_maximum(charts: list[Element]) -> None:
    """The axes have round numbers and units; the time ends with the last slot."""
    chart = charts[0]
    assert chart.attributes["role"] == "img"
    assert chart.attributes["aria-label"] == (f"{wording.IMAGES_PER_SECOND} (12 s), maximum 10")
    times = [f"{second} s" for second in range(0, 13, 2)]
    assert chart.texts("text") == ["0", "5", "10", *times, "images/s", "time since the start"]
    labels, line = chart.all("text")[3:-2], chart.one("line")
    anchors = [label.attributes["text-anchor"] for label in labels]
    assert anchors == ["start", *["middle"] * 5, "end"]
    assert labels[0].number("x") == line.number("x1")
    assert labels[-1].number("x") == line.number("x2")


def test_the_chart_of_times_names_each_range(charts: list[Element]) -> None:
    """Each bar has a title; each limit has a label between two bars."""
    chart = charts[1]
    assert chart.attributes["aria-label"] == f"{wording.STORE_TIMES} 5 s to 10 s"
    assert chart.texts("title") == [
        f"{words}: {quantity(count, 'image')}" for words, count in zip(RANGES, COUNTS, strict=True)
    ]
    assert chart.texts("text")[:3] == ["0", "20", "40"]
    assert chart.texts("text")[-2:] == ["images", "time of a C-STORE"]
    limits = chart.all("text")[3:-2]
    starts = [words.partition(" to ")[0] for words in RANGES[1:-1]]
    assert [label.text for label in limits] == [*starts, "10 s"]
    bars = bars_of(chart)
    middles = [(left[1] + right[0]) / 2 for left, right in pairwise(bars)]
    assert [label.number("x") for label in limits] == pytest.approx(middles, abs=0.2)
    assert {label.attributes["text-anchor"] for label in limits} == {"middle"}


def test_many_slots_still_have_visible_bars() -> None:
    """A bar that would be narrower than its gap is still drawn."""
    page = page_of(ThroughputCounts(1.0, (5,) * 600, (1,) * 600, (0,) * 13, 600.0))
    assert [bar.number("width") for bar in page.all("rect")] == [0.5] * 600


def test_nothing_is_drawn_without_sent_images() -> None:
    """There is neither a rate nor a time."""
    page = page_of(ThroughputCounts(1.0, (0, 0), (0, 0), (0,) * 13, 2.0))
    assert page.all("svg") == []
    assert "Speed" not in page.texts("h2")


def test_lost_associations_are_on_the_time_axis() -> None:
    """Each is a line at its time, even after the last image; the text lists the times."""
    page = page_of(replace(THROUGHPUT, losses=(6.0, 24.0)))
    chart = page.all("svg")[0]
    assert chart.texts("text")[-3] == "20 s"
    lost = [one for one in chart.all("path") if one.attributes["class"] == "lost"]
    ends = [float((one.attributes["d"] or "").split()[1]) for one in lost]
    line = chart.one("line")
    start, end = line.number("x1"), line.number("x2")
    assert ends == pytest.approx([start + (end - start) / 4, end], abs=0.1)
    assert chart.texts("title") == [
        "association lost after 6.0 s",
        "association lost after 24.0 s",
    ]
    assert f"2 associations {wording.LOST_WHILE_SENDING} 6.0 s, 24.0 s)." in page.texts("p")


def test_many_lost_associations_are_counted() -> None:
    """The text lists ten of them."""
    page = page_of(replace(THROUGHPUT, losses=tuple(map(float, range(1000)))))
    (line,) = (text for text in page.texts("p") if "associations" in text)
    assert line.startswith(f"1,000 associations {wording.LOST_WHILE_SENDING} 0.0 s, 1.0 s,")
    assert line.endswith(", 9.0 s and 990 more).")


def test_statistics_of_c_store_times_are_shown() -> None:
    """The text has the median, the 95th percentile and the maximum, with three digits."""
    page = page_of(replace(THROUGHPUT, times=StoreTimes(0.01234, 1.2345, 75.0)))
    words = "C-STORE times: median 12.3 ms, 95th percentile 1.23 s, maximum 1 min 15 s."
    assert words in page.texts("p")


def test_a_narrow_screen_has_every_third_label(charts: list[Element]) -> None:
    """Others would not fit; the chart of rates keeps every second label."""
    for chart, number, kept in ((charts[0], 7, 2), (charts[1], 12, 3)):
        labels = chart.all("text")[3:-2]
        minor = [label.attributes.get("class") == "minor" for label in labels]
        assert minor == [bool(place % kept) for place in range(number)]


def test_the_duration_of_a_long_run_is_in_hours() -> None:
    """Thousands of seconds are hard to read."""
    chart = page_of(replace(THROUGHPUT, slot_seconds=1200.0)).all("svg")[0]
    assert chart.texts("text")[-3] == "1 h 0 min"
    assert "during the run (1 h 0 min)" in (chart.attributes["aria-label"] or "")


@pytest.mark.parametrize(
    ("highest", "axis"),
    [
        (0.3, ["0", "0.2", "0.4"]),
        (7, ["0", "4", "8"]),
        (1_000, ["0", "500", "1,000"]),
        (1_001, ["0", "1,000", "2,000"]),
        (3_999_999, ["0", "2,000,000", "4,000,000"]),
    ],
)
def test_the_axis_of_rates_has_round_numbers(highest: float, axis: list[str]) -> None:
    """It ends at or above the highest bar."""
    slot = 10.0
    chart = page_of(replace(THROUGHPUT, slot_seconds=slot, images=(round(highest * slot), 0)))
    assert chart.all("svg")[0].texts("text")[:3] == axis


def test_a_run_of_one_second_has_no_chart_of_rates() -> None:
    """One bar says nothing; the times of its requests do."""
    (chart,) = page_of(ThroughputCounts(1.0, (5,), (1,), COUNTS, 0.8)).all("svg")
    assert chart.texts("text")[-1] == "time of a C-STORE"


def test_few_images_are_whole_numbers_on_the_axis() -> None:
    """An axis up to one image would have a half of it."""
    chart = page_of(replace(THROUGHPUT, durations=(1, *[0] * 12))).all("svg")[1]
    assert chart.texts("text")[:3] == ["0", "1", "2"]
