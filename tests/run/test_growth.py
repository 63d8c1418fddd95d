"""The automatic number of connections grows while it helps."""

from collections.abc import Callable
from contextlib import ExitStack
from heapq import heappop, heappush

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Sent, StoreResult, Suspect, Transfer
from fw_gear_dicom_send.delivery.sender import Parallel, SenderFacts, Why
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.run.concurrency import AdaptiveLimit
from tests.support.results import sent

LOST = Suspect(NotSent(Reason(Kind.CONNECTION_LOST)), 0, may_be_stored=False)


class Server:
    """Server whose time for an image depends on the number of images at work, without sleeping."""

    def __init__(self, seconds: Callable[[int], float], number: int = 0) -> None:
        """Take `seconds` for each image of a run with the option `associations` at `number`."""
        self.seconds = seconds
        self.served = 16
        self.now = 0.0
        self.is_lossy: Callable[[int], bool] = lambda _: False
        self.trims: list[int] = []
        self.result: Callable[[float], StoreResult] = self._answered
        self.limit = AdaptiveLimit(
            Parallel.of(number),
            clock=lambda: self.now,
            cpu_clock=lambda: 0.0,
            trim=self.trims.append,
        )

    def run(self, images: int) -> list[int]:
        """Send images, as many at a time as allowed; return the allowed numbers over time.

        Connections beyond those that are `served` wait for a minute.
        """
        at_work: list[tuple[float, int, ExitStack]] = []
        allowed: list[int] = []
        for _ in range(images):
            while self._busy(at_work) >= self.limit.allowed:
                self._end(at_work)
            stack = ExitStack()
            work = stack.enter_context(self.limit.slot())
            threads = len(at_work) + 1
            connection = min(set(range(16)) - {used for _, used, _ in at_work})
            seconds = self.seconds(threads) if connection < self.served else 60
            work.result = LOST if self.is_lossy(threads) else self.result(seconds)
            heappush(at_work, (self.now + seconds, connection, stack))
            allowed.append(self.limit.allowed)
        while at_work:
            self._end(at_work)
        return allowed

    def _busy(self, at_work: list[tuple[float, int, ExitStack]]) -> int:
        """Return the number of images at work, without late ones after a trial."""
        is_over = self.trims and self.limit.allowed == 4
        return sum(not is_over or connection < self.served for _, connection, _ in at_work)

    def _answered(self, seconds: float) -> StoreResult:
        """Return the result of an image."""
        return Sent(Transfer(tries=1, seconds=seconds))

    def _end(self, at_work: list[tuple[float, int, ExitStack]]) -> None:
        self.now, _, stack = heappop(at_work)
        stack.close()

    @property
    def why(self) -> Why:
        """The reason for the number."""
        used = self.limit.used(SenderFacts(peak=16))
        assert used
        return used.why


def distant(_: int) -> float:
    """Return the seconds of an image at a server with an unlimited rate."""
    return 0.1


def limited(rate: float) -> Callable[[int], float]:
    """Return the function of a distant server that stores no more images per second."""
    return lambda threads: max(0.1, threads / rate)


def test_a_distant_server_gets_sixteen() -> None:
    """Each doubling raises the rate, so the maximum is reached within a hundred images."""
    server = Server(distant)
    allowed = server.run(150)
    assert list(dict.fromkeys(allowed)) == [1, 2, 4, 8, 16]
    assert allowed.index(16) < 100
    assert server.why is Why.MOST


def test_a_near_server_gets_four() -> None:
    """An image in 4 ms shows that the server is near, however much more would help."""
    server = Server(lambda _: 0.004)
    assert max(server.run(2000)) == 4
    assert server.why is Why.NEAR


@pytest.mark.parametrize(("rate", "most"), [(1000, 16), (200, 8)], ids=["16 cores", "4 cores"])
def test_conversion_uses_the_cores(rate: float, most: int) -> None:
    """The server is near, but each image takes 20 ms in a decoder: the rate decides."""
    server = Server(lambda threads: max(0.02, threads / rate))
    server.result = lambda _: Sent(Transfer(tries=1, seconds=0.002, crc32=1))
    assert max(server.run(2000)) == most


def test_a_server_at_its_limit_gets_no_more() -> None:
    """A server that stores 40 images per second gets eight only while they are tried."""
    server = Server(limited(40))
    allowed = server.run(4000)
    assert max(allowed) == 8
    assert allowed.count(8) / len(allowed) < 0.1
    assert server.why is Why.NO_GAIN


@pytest.mark.parametrize(("rate", "number"), [(47, 4), (49, 8)])
def test_a_fifth_more_is_enough(rate: float, number: int) -> None:
    """Eight connections stay if they store 1.2 times as many images as four."""
    server = Server(limited(rate))
    assert server.run(400)[-1] == number


def test_trials_without_gain_become_rare() -> None:
    """A trial that fails doubles the time to the next one."""
    server = Server(limited(40))
    server.run(20_000)  # 500 s
    assert 6 <= server.trims.count(8) <= 9


def test_a_server_that_slows_down_with_more_gets_fewer() -> None:
    """Sixteen are worse than eight, so eight remain."""
    server = Server(lambda threads: 0.1 if threads <= 8 else 0.4)
    assert server.run(1000)[-1] == 8


def test_a_server_that_slows_down_later_gets_fewer() -> None:
    """Half of the connections are tried now and then, and kept if they are as fast."""
    server = Server(distant)
    assert server.run(400)[-1] == 16
    server.seconds = limited(40)
    while server.trims[-1] == 16:
        server.run(100)
    assert set(server.run(1500)) == {8}  # for half a minute
    allowed = server.run(10_000)
    assert allowed[-4000:].count(4) > 3600
    assert server.trims.count(4) >= 1


def test_a_server_that_becomes_fast_gets_more() -> None:
    """A limit at first does not last."""
    server = Server(limited(40))
    assert server.run(400)[-1] == 4
    server.seconds = distant
    assert server.run(4000)[-1] == 16


def test_useful_connections_stay() -> None:
    """A trial of half of them ends with all of them."""
    server = Server(distant)
    allowed = server.run(40_000)  # 250 s
    assert set(allowed[1000:]) == {8, 16}
    assert allowed[1000:].count(8) / len(allowed) < 0.01


def test_an_image_that_gets_no_answer_is_a_loss_of_speed() -> None:
    """Eight connections are no gain if the server serves only four of them."""
    server = Server(distant)
    server.served = 4
    allowed = server.run(200)
    assert allowed.index(8) < 30
    assert set(allowed[60:]) == {4}
    assert server.trims == [8, 4 + 4, 4 + 3, 4 + 2, 4 + 1, 4]
    assert server.now < 90


def test_losses_end_the_growth() -> None:
    """Images that are lost with more than eight connections bring the first four back."""
    server = Server(distant)
    server.is_lossy = lambda threads: threads > 8
    allowed = server.run(1000)
    assert allowed[-1] == 4
    assert allowed.count(16) < 32
    assert server.why is Why.TROUBLE


def test_an_image_that_was_resent_ends_the_growth() -> None:
    """A server that puts images off has too many connections."""
    server = Server(distant)
    assert server.run(150)[-1] == 16
    server.result = lambda seconds: sent(tries=2, seconds=seconds)
    server.run(5)
    assert (server.limit.allowed, server.why) == (4, Why.TROUBLE)


def test_larger_images_are_no_loss() -> None:
    """The rate counts bytes too: eight remain although images get larger and slower."""
    server = Server(lambda _: 0.3 if server.limit.allowed >= 8 else 0.1)
    server.result = lambda seconds: sent(
        tries=1, seconds=seconds, size=1 << 20 if server.limit.allowed >= 8 else 0
    )
    assert server.run(60)[-1] >= 8


def test_a_fixed_number_is_reached_at_once() -> None:
    """Ten connections are not tried, and not given up."""
    server = Server(limited(20), number=10)
    assert set(server.run(400)[20:]) == {10}
    assert server.why is Why.FIXED


def test_results_without_an_answer_are_no_proof() -> None:
    """Images that are skipped or rejected neither add connections nor show a near server."""
    server = Server(distant)
    server.result = lambda _: NotSent(Reason(Kind.REJECTED))
    assert max(server.run(400)) == 4
    assert server.why is Why.SHORT


@pytest.mark.parametrize(
    ("facts", "why"),
    [(SenderFacts(peak=4), Why.SHORT), (SenderFacts(peak=2, is_refused=True), Why.REFUSED)],
)
def test_what_was_used_has_a_reason(facts: SenderFacts, why: Why) -> None:
    """The numbers are those that were open; a refusal explains them."""
    server = Server(distant)
    server.run(10)
    used = server.limit.used(facts)
    assert used
    assert (used.number, used.peak, used.why) == (facts.peak, facts.peak, why)


def test_a_run_without_connections_used_none() -> None:
    """There is nothing to report."""
    assert Server(distant).limit.used(SenderFacts()) is None


@pytest.mark.parametrize(
    ("number", "images", "threads"),
    [
        (0, 1, (4, 16, Why.SHORT)),
        (0, 2, (8, 32, Why.SHORT)),
        (0, 20, (64, 64, Why.SHARED)),
        (3, 20, (60, 60, Why.FIXED)),
        (3, 1, (3, 3, Why.FIXED)),
    ],
)
def test_images_that_share_requests_need_threads(
    number: int, images: int, threads: tuple[int, int, Why]
) -> None:
    """There is a thread for each image in a request, but there are at most 64."""
    found = Parallel.of(number).threads(images)
    assert (found.assured, found.most, found.why) == threads


def test_whole_studies_get_four() -> None:
    """An association for each study is not tried."""
    parallel = Parallel.of(0, by_study=True)
    assert (parallel.assured, parallel.most, parallel.why) == (4, 4, Why.BY_STUDY)


def test_a_run_by_study_used_as_many_as_were_open() -> None:
    """The limit does not apply to it."""
    used = Server(distant).limit.used(SenderFacts(peak=3), by_study=True)
    assert used
    assert (used.number, used.peak) == (3, 3)
