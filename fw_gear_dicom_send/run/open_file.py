"""A fetched file whose members several threads take."""

from collections import Counter
from collections.abc import Iterator
from threading import Lock

from ..archive import Archive, Item, Task
from ..models import FileEntry
from ..reasons import Kind, Reason, Skipped
from .downloads import Fetched
from .work_room import InFlight


class OpenFile:
    """Hands out the members of a file, each to one thread, and knows what is known of the file.

    The mutable state is the iterators that still have members, of which the last one goes first;
    how many members were taken and are not done; and what is known. All of it is changed with the
    lock. The turn to take is another lock: while a tar is unpacked, images that it held go on.
    """

    def __init__(self, fetched: Fetched, archive: Archive, images: InFlight) -> None:
        """Take the members of `archive`; each counts as one of the `images` until it is done."""
        self.fetched = fetched
        self.images = 0
        self.trouble: Reason | None = None
        self.skipped: Counter[Skipped] = Counter()
        self._archive = archive
        self._in_flight = images
        self._iterators: list[Iterator[Task | Item]] = [archive.tasks()]
        self._taken = 0
        self._is_cut = False
        self._is_ended = False
        self._lock = Lock()
        self._turn = Lock()

    @property
    def entry(self) -> FileEntry:
        """The file's record."""
        return self.fetched.entry

    @property
    def has_members(self) -> bool:
        """Whether there may be members left to take."""
        return bool(self._iterators) and not self._is_cut

    def take(self) -> Task | Item | None:
        """Return the next member, or what unpacks it, which is to be followed by `done`.

        Returns None where there is none left; another thread may still add some.
        """
        with self._turn:
            while iterator := self._begun():
                member = None
                try:
                    member = next(iterator, None)
                except OSError as exc:
                    self.cut(not_unpacked(exc))
                finally:
                    if member is None:
                        self.done()
                if member is not None:
                    return member
                with self._lock:
                    self._iterators.remove(iterator)
            return None

    def _begun(self) -> Iterator[Task | Item] | None:
        """Count a member that is about to be taken, and return where from."""
        with self._lock:
            if self._is_cut or not self._iterators:
                return None
            self._taken += 1
            self._in_flight.enter()
            return self._iterators[-1]

    def add(self, items: Iterator[Item]) -> None:
        """Let the items of an archive in the archive follow."""
        with self._lock:
            self._iterators.append(items)

    def add_image(self) -> None:
        """Count an image."""
        with self._lock:
            self.images += 1

    def skip(self, kind: Skipped) -> None:
        """Count what is no image to send."""
        with self._lock:
            self.skipped[kind] += 1

    def cut(self, trouble: Reason) -> None:
        """Hand out nothing more, as there is trouble."""
        with self._lock:
            self.trouble = trouble
            self._is_cut = True

    def done(self) -> None:
        """Note that a member that was taken has left the work folder, whatever became of it."""
        self._in_flight.leave()
        with self._lock:
            self._taken -= 1

    def is_over(self) -> bool:
        """Tell, once, that nothing is left and all is done; the archive is closed then."""
        with self._lock:
            is_left = self._taken or (self._iterators and not self._is_cut)
            if is_left or self._is_ended:
                return False
            self._is_ended = True
        self._archive.close()
        return True


def not_unpacked(error: OSError) -> Reason:
    """Return why the rest of a file is lost, as the work folder cannot be written to."""
    return Reason(Kind.NOT_UNPACKED, error.strerror or str(error))
