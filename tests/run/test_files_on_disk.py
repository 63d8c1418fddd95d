"""Files that need no download are fetched on the thread that needs them."""

from pathlib import Path
from threading import Timer, current_thread

from fw_gear_dicom_send.models import DownloadFailure, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.run.test_downloads import consumed, downloads, entries, path_of


def test_files_that_need_no_download_are_fetched_one_by_one_by_the_consumer() -> None:
    """Nothing is fetched ahead, and no other thread is involved."""
    threads = []

    def fetch(entry: FileEntry) -> Path:
        threads.append(current_thread())
        return path_of(entry)

    with downloads(fetch, entries(1, 2, None), 0) as running:
        for number, file in enumerate(consumed(running), start=1):
            assert file.entry.name == str(number - 1)
            assert len(threads) == number
    assert threads == [current_thread()] * 3


def test_a_file_that_needs_no_download_fails_alone_after_giving_up() -> None:
    """Each file gets the reason, and an error of the fetch reaches the consumer."""
    reason = Reason(Kind.GIVEN_UP)
    with downloads(path_of, entries(1, 2), 0, given_up=lambda: reason) as running:
        assert [file.outcome for file in consumed(running)] == [DownloadFailure(reason)] * 2


def test_a_file_that_needs_no_download_is_read_again_when_it_is_alone() -> None:
    """It comes after the others, once they are released."""
    with downloads(path_of, entries(1, 2), 0) as running:
        first, second = running.take(), running.take()
        assert first
        assert second
        running.release(first, again=True)
        order = []

        def release() -> None:
            order.append("released")
            running.release(second)

        Timer(0.01, release).start()
        again = running.take()
        order.append("taken")
        assert order == ["released", "taken"]
        assert again
        assert again.entry == first.entry
        running.release(again)
        assert running.take() is None
