"""Where the work folder is full, what needs room waits for something to leave it."""

import errno
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from fw_gear_dicom_send.dicom.temporary_files import Mark, retry_when_full
from fw_gear_dicom_send.run.work_room import InFlight, RoomInside
from tests.support.waiting import wait_for

PATIENCE = 30


def failing(times: int, error: int = errno.ENOSPC) -> Callable[[], str]:
    """Return what fails so many times."""
    failures = iter([error] * times)

    def attempt() -> str:
        if number := next(failures, 0):
            raise OSError(number, "no room")
        return "written"

    return attempt


def waiting(wait: Callable[[Mark], bool], mark: Mark) -> tuple[Future[bool], Event]:
    """Wait on a thread of its own; the event tells that it has begun."""
    begun = Event()

    def run() -> bool:
        begun.set()
        return wait(mark)

    pool = ThreadPoolExecutor(1)
    future = pool.submit(run)
    pool.shutdown(wait=False)
    assert begun.wait(PATIENCE)
    return future, begun


def test_what_needs_no_room_is_tried_once() -> None:
    """Nothing is waited for."""
    assert retry_when_full(InFlight(), failing(0)) == "written"


def test_nothing_is_waited_for_where_nothing_is_to_leave() -> None:
    """An image that is alone and too large fails at once."""
    with pytest.raises(OSError, match="no room"):
        retry_when_full(InFlight(), failing(1))


def test_other_errors_are_not_waited_for() -> None:
    """A disk that fails will fail again."""
    images = InFlight()
    images.enter()
    with pytest.raises(OSError, match="no room"):
        retry_when_full(images, failing(1, errno.EIO))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_it_is_tried_again_as_soon_as_an_image_has_left(error: int) -> None:
    """As often as images leave, and no more often."""
    images = InFlight()
    for _ in range(3):
        images.enter()
    write = failing(3, error)
    with ThreadPoolExecutor(1) as sender:

        def attempt() -> str:
            try:
                return write()
            finally:
                sender.submit(images.leave)

        assert retry_when_full(images, attempt) == "written"


def test_an_image_that_has_left_meanwhile_is_enough() -> None:
    """What left between the attempt and the wait is not missed."""
    images = InFlight()
    images.enter()
    mark = images.mark()
    images.leave()
    assert images.wait(mark)


def test_images_that_all_need_room_do_not_wait_for_each_other() -> None:
    """One of them tries again alone; when it has failed and left, so does the other."""
    images = InFlight()
    room = RoomInside(images, lambda: 2)
    images.enter()
    images.enter()
    mark = room.mark()
    first, _ = waiting(room.wait, mark)
    assert wait_for(lambda: room.mark() != mark)
    assert room.wait(mark)
    assert not room.wait(room.mark())
    assert not first.done()
    images.leave()
    assert first.result(PATIENCE)


def test_images_that_cannot_leave_before_it_are_not_waited_for() -> None:
    """One that is sent alone is told that there will be no room, whatever comes behind it."""
    images = InFlight()
    images.enter()
    images.enter()
    future, _ = waiting(RoomInside(images, lambda: 1).wait, images.mark())
    assert not future.result(PATIENCE)


def test_images_that_are_unpacked_keep_none_from_leaving() -> None:
    """An image that is on its way waits for the others that are, whatever waits beside them."""
    images = InFlight()
    for _ in range(3):
        images.enter()
    unpacked, _ = waiting(RoomInside(images).wait, images.mark())
    assert wait_for(lambda: images.mark().waiting == 1)
    sent, _ = waiting(RoomInside(images, lambda: 2).wait, images.mark())
    assert not wait_for(sent.done, 2.5)
    images.leave()
    assert sent.result(PATIENCE)
    assert unpacked.result(PATIENCE)


def test_nobody_waits_once_it_is_closed() -> None:
    """A run that is cancelled ends, whatever was waited for."""
    images = InFlight()
    images.enter()
    future, _ = waiting(images.wait, images.mark())
    images.close()
    assert not future.result(PATIENCE)
    assert not images.wait(images.mark())
