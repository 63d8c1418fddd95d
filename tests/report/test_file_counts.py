"""Counts and status of a file's row in the report."""

import pytest

from fw_gear_dicom_send.account import Account
from fw_gear_dicom_send.delivery.results import (
    AlreadyStored,
    NotSent,
    Planned,
    StoreResult,
    Transfer,
)
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Remark
from fw_gear_dicom_send.reasons import Kind, Reason, Skipped
from fw_gear_dicom_send.report.file_counts import FileCount, FileCounts
from fw_gear_dicom_send.report.result_line import result_line
from fw_gear_dicom_send.report.wording import image_counts
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.results import not_sent, reason_with, remark, sent

SENT, UNSENT = sent(), not_sent("the server said no")


ENTRY = FileEntry(Container("acquisition", "a1"), "t1.zip", "g/p/s/v/t1/files/t1.zip")


def count_of(*results: StoreResult) -> FileCount:
    count = FileCount(ENTRY)
    count.begin()
    for result in results:
        count.add(result)
    return count


def ended(*results: StoreResult) -> FileReport:
    count = count_of(*results)
    count.end(len(results), None)
    return count.report()


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ((SENT, SENT), "Complete"),
        ((SENT, UNSENT), "Incomplete"),
        ((UNSENT, UNSENT), "Failed"),
        ((), "Failed"),
    ],
)
def test_status_follows_from_the_images(results: tuple[StoreResult, ...], status: str) -> None:
    """A file is complete if it has images and all were sent, and failed if none was."""
    report = ended(*results)
    assert (report.images, report.sent) == (len(results), results.count(SENT))
    assert report.status == status


def test_existing_images_are_distinguished_from_sent_ones() -> None:
    """Both are on the server after the run."""
    report = ended(SENT, AlreadyStored(), AlreadyStored(), UNSENT)
    assert (report.images, report.sent, report.already_stored, report.stored) == (4, 1, 2, 3)
    assert report.planned is None


def test_copies_of_images_of_the_run_are_not_called_existing() -> None:
    """They were not on the server before, but are there after the run."""
    report = ended(SENT, AlreadyStored(Reason(Kind.DUPLICATE)), AlreadyStored())
    assert (report.sent, report.already_stored, report.duplicates) == (1, 1, 1)
    assert report.is_complete
    assert image_counts(report).endswith(": 1 already there, 1 duplicate, 1 sent")


def test_images_with_a_used_uid_are_one_remark() -> None:
    """Each names another image; the first of them is named."""
    reasons = [Reason(Kind.DUPLICATE_UID, f": a.zip, member {number}") for number in range(60)]
    (found,) = ended(*map(NotSent, reasons)).remarks
    assert (found.reasons, found.images) == ((reasons[0],), 60)


def test_a_dry_run_has_planned_images() -> None:
    """None is sent, and the file has not failed."""
    count = FileCount(ENTRY, is_dry=True)
    count.add(Planned(Transfer()))
    count.add(UNSENT)
    report = count.report()
    assert (report.sent, report.planned, report.status) == (0, 1, "Dry run")
    assert FileCount(ENTRY, is_dry=True).report().planned == 0


def test_a_file_without_images_fails() -> None:
    """A file without images has this as its reason."""
    assert ended().remarks == (Remark((Reason(Kind.NO_IMAGE),), 0, failure=True),)


@pytest.mark.parametrize(
    ("skipped", "trouble", "status"),
    [
        ((), None, "Complete"),
        ((Skipped.NOT_DICOM, Skipped.DICOMDIR, Skipped.EMPTY), None, "Complete"),
        ((), Kind.CORRUPT_ARCHIVE, "Failed"),
        ((Skipped.UNREAD,), None, "Failed"),
        ((Skipped.NOT_DICOM, Skipped.NESTED), None, "Failed"),
        ((Skipped.NOT_SELECTED,), None, "Failed"),
    ],
)
@pytest.mark.parametrize("remark", [None, Reason(Kind.REPLACED)])
def test_an_archive_that_was_read_completely_may_have_no_image(
    skipped: tuple[Skipped, ...], trouble: Kind | None, status: str, remark: Reason | None
) -> None:
    """It is complete only if nothing in it may hide an image."""
    count = FileCount(ENTRY)
    found = tuple((kind, 1) for kind in skipped)
    count.end(0, Reason(trouble) if trouble else None, found, remark, is_archive=True)
    report = count.report()
    assert (report.images, report.stored, report.status) == (0, 0, status)
    assert report.has_no_image == (trouble is None)
    assert report.remarks[-1].failure == (status == "Failed")
    assert Account(rows=[report]).is_without_images == (trouble is None)
    assert not Account(rows=[report]).is_complete
    both = Account(rows=[report, ended(SENT)])
    assert (both.is_complete, both.exit_code) == (status == "Complete", int(status != "Complete"))
    assert ("1 of 2 files not read" in result_line(both, "X")) == (status == "Failed")


def test_a_complete_file_has_no_remark() -> None:
    """A complete file needs no remark."""
    assert ended(SENT).remarks == ()


def test_equal_remarks_are_counted_together() -> None:
    """A reason is listed once with the number of its images; a warning is not a failure."""
    warned = sent("coerced")
    assert ended(UNSENT, warned, UNSENT).remarks == (
        remark("the server said no", 2, failure=True),
        remark("coerced", 1, failure=False),
    )


def test_a_file_that_was_not_reached_has_failed() -> None:
    """A run that ends early reports files that were not processed, too."""
    count = FileCount(FileEntry(Container("session", "s1"), "t1.zip", "g/p/s/v/files/t1.zip"))
    assert count.report().status == "Failed"
    assert count.report().remarks == (Remark((Reason(Kind.NOT_REACHED),), 0, failure=True),)


def test_a_file_that_was_interrupted_is_not_complete() -> None:
    """A file that was not read to its end is never complete, even if all seen images were sent."""
    report = count_of(SENT, SENT).report()
    assert (report.status, report.images, report.sent) == ("Incomplete", 3, 2)
    assert Remark((Reason(Kind.INTERRUPTED),), 0, failure=True, unseen=1) in report.remarks


def test_unread_members_count_as_images() -> None:
    """A stopped run reports them as not processed, and the file is not complete."""
    count = count_of(SENT)
    count.end(1, None, unread=3)
    report = count.report()
    assert (report.status, report.images, report.sent) == ("Incomplete", 4, 1)
    assert report.remarks == (Remark((Reason(Kind.NOT_REACHED),), 3, failure=True),)
    assert (report.is_unreached, report.may_have_more) == (False, False)


def test_a_file_may_have_only_unread_members() -> None:
    """It is not called a file without images."""
    count = count_of()
    count.end(0, None, unread=3)
    assert count.report().remarks == (Remark((Reason(Kind.NOT_REACHED),), 3, failure=True),)


def test_a_file_that_was_not_read_may_have_more_images() -> None:
    """The number of its images is a minimum, unless the run read all of it."""
    unreached, interrupted, damaged = (FileCount(ENTRY) for _ in range(3))
    interrupted.end(1, Reason(Kind.INTERRUPTED))
    damaged.end(1, reason_with("the archive is cut short"))
    reports = [count.report() for count in (unreached, interrupted, damaged)]
    assert [report.may_have_more for report in reports] == [True, True, False]
    assert [report.is_unreached for report in reports] == [True, False, False]
    assert image_counts(*reports).startswith("0 of at least ")
    assert image_counts(unreached.report()) == "Images not counted"
    assert image_counts(damaged.report()).startswith("0 of 2 ")


def test_a_file_that_fails_halfway_is_not_complete() -> None:
    """A damaged archive stays incomplete if its end is reported after its failure."""
    count = count_of(SENT)
    count.end(1, reason_with("the archive is cut short"))
    assert count.report().status == "Incomplete"
    (found,) = count.report().remarks
    assert found == replace(remark("the archive is cut short", 0, failure=True), unseen=1)


def test_the_end_may_be_reported_before_the_last_images() -> None:
    """Images that are counted after the file's end belong to it; the last one completes it."""
    count = count_of(SENT)
    count.end(3, None)
    assert not count.is_done
    assert count.report() == FileReport(
        count.entry, 3, 1, (Remark((Reason(Kind.INTERRUPTED),), 0, failure=True, unseen=2),)
    )
    count.add(UNSENT)
    assert not count.is_done
    count.add(SENT)
    assert count.is_done
    report = count.report()
    assert (report.images, report.sent, report.status) == (3, 2, "Incomplete")
    assert report.remarks == (remark("the server said no", 1, failure=True),)


def test_a_damaged_file_is_not_complete_if_its_images_come_last() -> None:
    """A damaged archive is not complete, although its images are counted after its end."""
    count = count_of()
    count.end(1, reason_with("the archive is cut short"))
    count.add(SENT)
    assert count.is_done
    assert count.report().status == "Incomplete"
    (found,) = count.report().remarks
    assert found == replace(remark("the archive is cut short", 0, failure=True), unseen=1)


def test_a_file_is_done_after_its_end_and_all_its_images() -> None:
    """A file is not done with only its images or only its end."""
    assert not count_of().is_done
    assert not count_of(SENT).is_done
    empty, whole = count_of(), count_of(SENT, UNSENT)
    empty.end(0, None)
    whole.end(2, None)
    assert empty.is_done
    assert whole.is_done


def test_an_unavailable_file_has_failed() -> None:
    """A failed download has a row without images and with one reason."""
    count = count_of()
    count.end(0, reason_with("the site has no such file"))
    report = count.report()
    assert (report.status, report.images) == ("Failed", 0)
    assert report.remarks == (remark("the site has no such file", 0, failure=True),)


def test_reports_do_not_grow_with_distinct_remarks() -> None:
    """Of very many reasons the first are listed, and the rest are counted together."""
    results = [(not_sent if n % 2 else sent)(f"reason {n}") for n in range(1000)]
    report = ended(*results, *results)
    assert (report.images, report.sent) == (2000, 1000)
    assert len(report.remarks) < 100
    assert sum(remark.images for remark in report.remarks) == 2000
    assert {r.failure for r in report.remarks if r.reasons == (Reason(Kind.OTHER),)} == {
        True,
        False,
    }


def test_files_keep_their_order() -> None:
    """A run has a row for each file, in file order, whichever is counted first."""
    files = [FileEntry(Container("session", "s"), f"{n}.zip", f"lab/{n}.zip") for n in (2, 3, 1)]
    counts = FileCounts(files)
    assert list(counts) == files
    counts[files[1]].begin()
    counts[files[1]].add(SENT)
    counts[files[1]].end(1, None)
    assert [(row.entry, row.images, row.sent) for row in counts.reports()] == [
        (files[0], 0, 0),
        (files[1], 1, 1),
        (files[2], 0, 0),
    ]


@pytest.mark.parametrize(("reasons", "shown"), [(50, 50), (51, 51), (52, 51)])
def test_fifty_distinct_remarks_are_kept(reasons: int, shown: int) -> None:
    """Further remarks are combined into one."""
    report = ended(*[not_sent(f"reason {n}") for n in range(reasons)])
    assert len(report.remarks) == shown
    others = [remark.images for remark in report.remarks if remark.text == wording.OTHER_REASONS]
    assert others == [reasons - 50] * (reasons > 50)


def test_a_remark_names_the_first_image_it_is_about() -> None:
    """Later images with the same remark only count."""
    count = FileCount(ENTRY)
    for member in ("first", "second"):
        count.add(UNSENT, member)
    count.end(2, None)
    ((remark,),) = (count.report().remarks,)
    assert (remark.images, remark.member) == (2, "first")
