"""If the work folder is full, an operation waits until an image leaves it."""

import errno
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from fw_gear_dicom_send.dicom.temporary_files import Mark, retry_when_full
from fw_gear_dicom_send.run.work_folder import InFlight, InnerRoom
from tests.support.waiting import wait_for

PATIENCE = 30


def failing(times: int, error: int = errno.ENOSPC) -> Callable[[], str]:
    """Return an operation that fails this many times."""
    failures = iter([error] * times)

    def attempt() -> str:
        if number := next(failures, 0):
            raise OSError(number, "no room")
        return "written"

    return attempt


def waiting(wait: Callable[[Mark], bool], mark: Mark) -> tuple[Future[bool], Event]:
    """Wait on a separate thread; the event shows that it has begun."""
    begun = Event()

    def run() -> bool:
        begun.set()
        return wait(mark)

    pool = ThreadPoolExecutor(1)
    future = pool.submit(run)
    pool.shutdown(wait=False)
    assert begun.wait(PATIENCE)
    return future, begun


def test_a_successful_operation_is_tried_once() -> None:
    """There is no wait."""
    assert retry_when_full(InFlight(), failing(0)) == "written"


def test_there_is_no_wait_if_no_image_can_leave() -> None:
    """An image that is alone and too large fails immediately."""
    with pytest.raises(OSError, match="no room"):
        retry_when_full(InFlight(), failing(1))


def test_other_errors_are_not_waited_for() -> None:
    """A disk error would occur again."""
    images = InFlight()
    images.enter()
    with pytest.raises(OSError, match="no room"):
        retry_when_full(images, failing(1, errno.EIO))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_it_is_retried_as_soon_as_an_image_has_left(error: int) -> None:
    """It is retried once for each image that leaves."""
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


def test_an_image_that_has_left_meanwhile_is_sufficient() -> None:
    """An image that left between the attempt and the wait is not missed."""
    images = InFlight()
    images.enter()
    mark = images.mark()
    images.leave()
    assert images.wait(mark)


def test_images_that_all_need_room_do_not_wait_for_each_other() -> None:
    """One of them retries alone; after it has failed and left, the other one does, too."""
    images = InFlight()
    room = InnerRoom(images, lambda: 2)
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


def test_images_that_cannot_leave_are_not_waited_for() -> None:
    """An image that is sent alone fails immediately, whatever follows."""
    images = InFlight()
    images.enter()
    images.enter()
    future, _ = waiting(InnerRoom(images, lambda: 1).wait, images.mark())
    assert not future.result(PATIENCE)


def test_images_being_unpacked_do_not_block_others() -> None:
    """An image in progress waits for others in progress, whatever else waits."""
    images = InFlight()
    for _ in range(3):
        images.enter()
    unpacked, _ = waiting(InnerRoom(images).wait, images.mark())
    assert wait_for(lambda: images.mark().waiting == 1)
    sent, _ = waiting(InnerRoom(images, lambda: 2).wait, images.mark())
    assert not wait_for(sent.done, 2.5)
    images.leave()
    assert sent.result(PATIENCE)
    assert unpacked.result(PATIENCE)


def test_no_thread_waits_after_closing() -> None:
    """A cancelled run ends, whatever its threads wait for."""
    images = InFlight()
    images.enter()
    future, _ = waiting(images.wait, images.mark())
    images.close()
    assert not future.result(PATIENCE)
    assert not images.wait(images.mark())
