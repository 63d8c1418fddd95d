"""Page about a batch: problems and advice."""

import json

import pytest

from fw_gear_dicom_send.batch.models import JobResult
from fw_gear_dicom_send.batch.page import render
from fw_gear_dicom_send.reasons import Kind
from tests.support import pages, wording
from tests.support.batch_world import GOOD, ROW, World
from tests.support.flywheel_engine import Simulated
from tests.support.flywheel_lists import Record
from tests.support.html_reading import Element, parsed

LOOK = "See the reports of the run, which are attached to the session."
SHORT = ("a2", "lab/Study/S/v/T2/files/u.zip", "u.zip", 4, 1, "Incomplete")


def rows_of(page: Element, name: str) -> list[list[str]]:
    """Return the cells of a table."""
    (table,) = (one for one in page.all("table") if one.attributes.get("id") == name)
    return [row.texts("td") for row in table.one("tbody").all("tr")]


def attach_summary(world: World, label: str, content: bytes) -> None:
    """Attach the summary of a run beside its report, as the gear does."""
    session = world.session_of(label)
    (report,) = (
        file
        for file in world.site.containers[session]["files"]
        if file["name"].startswith("dicom-send_report") and file["name"].endswith(".csv")
    )
    name = report["name"].removesuffix(".csv") + "_summary.json"
    world.site.attach(session, name, content, report["origin"])


def gathered(world: World, summary: bytes) -> Element:
    """Return the page about a successful session and a session with this summary."""
    batch_id = world.prepare("Visit 1", "Visit 2")

    def outcome(job: Record) -> Simulated:
        return (
            GOOD if world.label_of(job) == "Visit 1" else Simulated("failed", report=[ROW, SHORT])
        )

    world.ended(outcome)
    attach_summary(world, "Visit 2", summary)
    assert world.run("gather", batch_id) == 1
    return parsed(world.page(batch_id))


def test_causes_of_a_session_come_from_its_summary(world: World) -> None:
    """The summary of the run has codes; the page shows their texts and advice."""
    failed = {"refused": 2, "not-accepted": 1}
    remarks = [{"code": "refused", "text": f"status 0x{status}"} for status in ("A900", "C000")]
    summary = {"failed": failed, "files": [{"remarks": remarks}]}
    page = gathered(world, json.dumps(summary).encode())
    assert rows_of(page, "reasons") == [
        ["status 0xA900", "1", "2", Kind.REFUSED.advice],
        ["the server does not accept …", "1", "1", Kind.NOT_ACCEPTED.advice],
    ]
    (subject, session, state, _, sent, found, _, outcome), good = rows_of(page, "sessions")
    assert (subject, session, state) == ("DOE^JANE", "Visit 2", "failed")
    assert (sent, found) == ("6", "9")
    assert outcome == "status 0xA900; the server does not accept …"
    assert (good[1], good[-1]) == ("Visit 1", "Complete")


END = {
    "failed": {"not-reached": 3},
    "cause": "pacs rejected the association: it does not know the called AE title 'X'",
    "advice": "Check called_ae.",
}
"""Summary of a run that failed at its start."""


def test_the_cause_of_an_early_end_comes_first(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The page and the log have the words of the run, and not those of its images."""
    page = gathered(world, json.dumps(END).encode())
    assert rows_of(page, "reasons") == [[END["cause"], "1", "3", END["advice"]]]
    assert rows_of(page, "sessions")[0][-1] == END["cause"]
    assert page.texts("p")[0] == f"{wording.NOT_ALL_SENT}: {END['cause']}. {END['advice']}"
    assert page.one("title").text.startswith(f"{wording.NOT_ALL_SENT}: {END['cause']} | ")
    assert caplog.messages.count(f"  DOE^JANE/Visit 2: {END['cause']}") == 1


def test_the_advice_is_given_once_for_each_cause() -> None:
    """Two sessions with one cause have one row of advice, and none of their own."""
    page = render(pages.BATCH, pages.outcomes(120), pages.STARTED)
    assert page.partition("<h2>")[2].count(Kind.REFUSED.advice.partition("'")[0]) == 1


def test_the_head_says_what_was_sent_by_whom(world: World) -> None:
    """It has the server, the project, the number of sessions, the options and the user."""
    page = gathered(world, b"{}")
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Server"].startswith("ARCHIVE at pacs.example.org")
    assert facts["Project"] == "lab/Study"
    assert facts["Selection"] == "2 sessions"
    assert facts["Started"].endswith("by user@example.org")


def test_a_complete_batch_has_no_section_of_failures() -> None:
    """Its jobs are as many as its sessions, so their number is left out."""
    page = parsed(render(pages.BATCH, pages.outcomes(2)[1:], pages.STARTED))
    assert page.texts("h2") == ["Sessions"]
    assert page.texts("dt")[-3:] == ["Sessions complete", "Images sent", "Files complete"]
    short = [JobResult("v", "complete", 2, sent=1, reason="r", advice=LOOK)]
    assert "Jobs complete" in parsed(render(pages.BATCH, short, pages.STARTED)).texts("dt")


def test_codes_of_other_versions_have_no_wrong_advice(world: World) -> None:
    """An unknown code is shown with the advice for any failed job."""
    failed = {"of-a-later-version": 5, "refused": 2}
    page = gathered(world, json.dumps({"failed": failed}).encode())
    assert rows_of(page, "reasons") == [
        ["of a later version", "1", "5", LOOK],
        ["refused", "1", "2", Kind.REFUSED.advice],
    ]


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name)
def test_each_code_has_the_advice_of_its_kind(kind: Kind) -> None:
    """No code shows the advice of another kind."""
    result = JobResult("v", "failed", 1, reason="r", advice=LOOK, codes={kind.code: 1})
    page = parsed(render(pages.BATCH, [result], pages.STARTED))
    (row,) = rows_of(page, "reasons")
    assert row[-1] == kind.advice


def test_codes_are_limited(world: World) -> None:
    """A summary from outside cannot fill the page with codes."""
    failed = {"No code": 1, "x" * 41: 1} | {f"code-{number}": 1 for number in range(1000)}
    page = gathered(world, json.dumps({"failed": failed}).encode())
    rows = rows_of(page, "reasons")
    assert [len(rows), rows[0][0], rows[-1][0]] == [100, "code 0", "code 99"]


def test_counts_may_be_texts(world: World) -> None:
    """A count in quotes is a number."""
    page = gathered(world, b'{"failed": {"refused": "2"}}')
    assert rows_of(page, "reasons") == [["refused", "1", "2", Kind.REFUSED.advice]]


@pytest.mark.parametrize(
    "summary",
    [
        b"[]",
        b"\xff",
        b'{"failed": {"refused": Infinity}}',
        b'{"failed": {"refused": NaN}}',
        b'{"failed": {"refused": -1}}',
        b'{"failed": {"refused": true}}',
        b'{"failed": {"refused": ' + b"9" * 4300 + b', "not-accepted": ' + b"9" * 4300 + b"}}",
        b'{"failed": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
    ids=range(8),
)
def test_unreadable_summary_is_ignored(world: World, summary: bytes) -> None:
    """The page then says where to look."""
    page = gathered(world, summary)
    assert rows_of(page, "reasons") == [["not all images were sent", "1", "3", LOOK]]
    assert page.texts("p")[0] == f"{wording.NOT_ALL_SENT}. {LOOK}"


def test_failed_sessions_come_first_in_natural_order() -> None:
    """If there are many complete sessions, they are collapsed."""
    page = parsed(render(pages.BATCH, pages.outcomes(120), pages.STARTED))
    assert [row[1] for row in rows_of(page, "sessions")] == ["visit 0", "visit 50", "visit 100"]
    assert page.texts("summary") == ["117 complete sessions"]
    first = rows_of(page, "complete-sessions")[0]
    assert first == [
        "sub-1",
        "visit 1",
        "complete",
        "1 min 15 s",
        "1,200",
        "1,200",
        "",
        "Complete",
    ]
    assert page.all("a")[0].attributes["href"] == pages.outcomes(1)[0].url
