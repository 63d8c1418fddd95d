"""An image that finds no space on disk is put off, and sent last and alone."""

from collections import Counter
from itertools import count
from pathlib import Path
from signal import Signals
from threading import Barrier, Event

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Sent
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.models import ImageRecord
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.run.quarantine import QuarantinePolicy
from tests.support.choosy import number_of
from tests.support.full_disk import NO_SPACE, Crowded, Disk, codes, rows
from tests.support.sample_files import uid_of
from tests.support.waiting import wait_for


@pytest.mark.parametrize("associations", [1, 4])
def test_images_without_space_are_sent_last_and_alone(tmp_path: Path, associations: int) -> None:
    """Nothing else is in flight, and no other file is on disk."""
    disk = Disk(tmp_path, range(10), range(10, 20), range(20, 30))
    sender = Crowded({3: 1, 15: 1, 17: 1}, disk)
    found = rows(disk, sender, associations=associations)
    assert [(row.images, row.sent) for row in found] == [(10, 10)] * 3
    assert sorted(map(number_of, sender.uids[27:])) == [3, 15, 17]
    assert sender.others == [0] * 3
    assert sorted(disk.fetched[3:]) == ["0.zip", "1.zip"]
    assert disk.lying == []


@pytest.mark.parametrize("associations", [1, 4])
def test_an_image_that_never_fits_fails_after_two_tries(tmp_path: Path, associations: int) -> None:
    """The other images of its file are sent once."""
    sender = Crowded({3: 9, 4: 1})
    (row,) = rows(Disk(tmp_path, range(10)), sender, associations=associations)
    assert (row.images, row.sent, codes(row)) == (10, 9, [("disk-full", 1)])
    assert sender.tries == Counter(range(10)) + Counter([3, 4])


def test_a_disk_that_stays_full_ends_the_run(tmp_path: Path) -> None:
    """No thread waits for another one."""
    disk = Disk(tmp_path, range(10), range(10, 20))
    found = rows(disk, Crowded(dict.fromkeys(range(20), 9)))
    assert [(row.images, row.sent, codes(row)) for row in found] == [
        (10, 0, [("disk-full", 10)])
    ] * 2


def test_the_number_of_images_that_are_put_off_is_limited(tmp_path: Path) -> None:
    """Further ones fail immediately."""
    disk, sender = Disk(tmp_path, range(5), range(5, 10)), Crowded(dict.fromkeys(range(10), 1))
    found = rows(disk, sender, associations=1, quarantine=QuarantinePolicy(max_images=7))
    assert [row.sent for row in found] == [5, 2]
    assert [codes(row) for row in found] == [[], [("disk-full", 3)]]
    assert sender.tries == Counter(range(10)) + Counter(range(7))


class OneAtATime(Crowded):
    """Sender with space for one image, whose first image waits for the tries of others."""

    def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
        """Fail if another image is in flight."""
        if self.in_flight > 1:
            return NO_SPACE
        if len(self.tries) < 10:
            wait_for(lambda: len(self.tries) > 10, 0.3)
        return super().answer(number, instance)


def test_a_thread_without_space_takes_no_more_images_of_the_file(tmp_path: Path) -> None:
    """At most one image for each further thread is put off, however slow the others are."""
    sender = OneAtATime({})
    (row,) = rows(Disk(tmp_path, range(100)), sender)
    assert (row.images, row.sent) == (100, 100)
    assert sum(sender.tries.values()) <= 103


def test_threads_without_space_continue_with_the_next_file(tmp_path: Path) -> None:
    """When a file is deleted, there may be space for more images."""
    disk = Disk(tmp_path, range(10), range(10, 200))
    arrivals, meeting = count(), Barrier(4, timeout=30)

    class Counting(Crowded):
        def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
            if number == 0:
                wait_for(lambda: all(self.tries[n] for n in (1, 2, 3)), 30)
            if number > 20 and next(arrivals) < 4:
                meeting.wait()
            return super().answer(number, instance)

    found = rows(disk, Counting({1: 1, 2: 1, 3: 1}))
    assert [(row.images, row.sent) for row in found] == [(10, 10), (190, 190)]


def test_a_file_that_cannot_be_read_again_keeps_its_counts(tmp_path: Path) -> None:
    """Only images without space fail."""
    disk = Disk(tmp_path, range(5))
    disk.lost = {"0.zip"}
    (row,) = rows(disk, Crowded({2: 1, 4: 1}))
    assert (row.images, row.sent, codes(row)) == (5, 3, [("disk-full", 2)])


class Cancelling(Observer):
    """Observer that stops the run after a number of images."""

    def __init__(self, images: int) -> None:
        self.records: list[ImageRecord] = []
        self._images = images

    def image(self, record: ImageRecord) -> None:
        """Count an image."""
        self.records.append(record)
        if len(self.records) == self._images:
            raise CancelledError(Signals.SIGTERM)


@pytest.mark.parametrize("images", [2, 4])
def test_a_cancelled_run_reports_the_images_that_were_put_off(tmp_path: Path, images: int) -> None:
    """Each has a record with its UID, once."""
    observer = Cancelling(images)
    rows(Disk(tmp_path, range(5)), Crowded({0: 9}), associations=1, observer=observer)
    found = [one for one in observer.records if one.sop_instance_uid == uid_of(0)]
    assert [one.result for one in found] == [NO_SPACE]


def test_a_run_that_is_cancelled_in_a_second_reading_knows_all_images(tmp_path: Path) -> None:
    """The rest of the file has no further images."""
    is_over = Event()

    class Held(Crowded):
        def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
            if (number, self.tries[number]) == (1, 2):
                assert is_over.wait(30)
            return super().answer(number, instance)

        def finish(self) -> None:
            is_over.set()

    disk, sender = Disk(tmp_path, range(5)), Held({0: 1, 1: 1})
    (row,) = rows(disk, sender, associations=1, observer=Cancelling(4))
    assert (row.images, row.sent, codes(row)) == (5, 5, [])
