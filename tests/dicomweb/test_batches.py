"""Images of a study share a request if they wait for a connection at the same time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fw_gear_dicom_send.delivery.results import Sent, StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicomweb.answers import StoreAnswer
from fw_gear_dicom_send.dicomweb.batches import Batches, Outcome
from fw_gear_dicom_send.dicomweb.errors import LostError
from fw_gear_dicom_send.dicomweb.messages import Response
from fw_gear_dicom_send.dicomweb.request import StoreBody
from fw_gear_dicom_send.dicomweb.service import Exchange
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.option_values import Auto
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.dicomweb.test_sending import kinds
from tests.support.clock import Clock
from tests.support.instances import instance, made_instance
from tests.support.sample_files import encoded, made
from tests.support.waiting import wait_for
from tests.support.web_sending import TIMEOUTS, web_sender
from tests.support.web_server import WebPeer, WebRequest, WebServer, answer, failed, serve, stored

STUDY = "1.2.3"
IMAGES = [made_instance(number, StudyInstanceUID=STUDY) for number in range(1, 7)]
UIDS = [image.sop_instance_uid for image in IMAGES]
Reply = Callable[[WebPeer, WebRequest], None]


def sent_together(
    images: Sequence[SOPInstance],
    reply: Reply = answer,
    *,
    max_images: int = 20,
    waiting: int = 0,
    timeouts: Timeouts = TIMEOUTS,
) -> tuple[list[StoreResult | Suspect], list[list[str]], int]:
    """Send images at the same time over one connection, which is busy until `waiting` wait.

    Returns the results, the images of each request, and the number of losses.
    """
    is_busy, is_free = threading.Event(), threading.Event()

    def script(peer: WebPeer) -> None:
        answer(peer, peer.read())  # the first image of the study, which is sent alone
        other = peer.read()
        is_busy.set()
        assert is_free.wait(30)
        answer(peer, other)
        while True:
            reply(peer, peer.read())

    results: dict[int, StoreResult | Suspect] = {}
    with (
        WebServer(script, serve) as server,
        web_sender(server.url, max_images=max_images, timeouts=timeouts) as sender,
    ):
        sender.send(made_instance(900, StudyInstanceUID=STUDY))

        def send(number: int, image: SOPInstance) -> None:
            results[number] = sender.send(image)

        def start(number: int, image: SOPInstance) -> threading.Thread:
            thread = threading.Thread(target=send, args=(number, image))
            thread.start()
            return thread

        threads = [start(-1, made_instance(901, StudyInstanceUID="1.9", PatientID="other"))]
        assert is_busy.wait(30)
        threads += [start(number, image) for number, image in enumerate(images)]
        assert wait_for(lambda: sender.attempts.batches.waiting >= waiting)
        is_free.set()
        for thread in threads:
            thread.join(30)
        losses = sender.facts().losses
    posts = [one.uids for one in server.requests if one.method == "POST"]
    return [results[number] for number in range(len(images))], posts[2:], losses


def test_waiting_images_share_a_request() -> None:
    """While the connection is busy, images of a study join into one request."""
    results, requests, _ = sent_together(IMAGES, waiting=6)
    assert kinds(results) == [Sent] * 6
    assert [sorted(uids) for uids in requests] == [sorted(UIDS)]
    assert {result.transfer.tries for result in results} == {1}


def test_a_request_has_a_maximum_number_of_images() -> None:
    """A full request is followed by another one."""
    results, requests, _ = sent_together(IMAGES, max_images=4, waiting=2)
    assert kinds(results) == [Sent] * 6
    assert sorted(map(len, requests)) == [2, 4]


def test_large_images_are_sent_alone() -> None:
    """An image over 1 MiB gains nothing by a shared request."""
    files = (encoded(made(one, pixels=800, StudyInstanceUID=STUDY)) for one in (11, 12))
    results, requests, _ = sent_together([*map(instance, files), *IMAGES[:2]], waiting=2)
    assert kinds(results) == [Sent] * 4
    assert sorted(map(len, requests)) == [1, 1, 2]


def test_a_request_has_a_maximum_size() -> None:
    """Images of 1 MB share requests of up to 4 MiB."""
    files = (encoded(made(one, pixels=700, StudyInstanceUID=STUDY)) for one in range(11, 17))
    results, requests, _ = sent_together([*map(instance, files)], waiting=2)
    assert kinds(results) == [Sent] * 6
    assert sorted(map(len, requests)) == [2, 4]


def test_by_default_each_image_has_a_request() -> None:
    """With 1, no image waits for another."""
    results, requests, _ = sent_together(IMAGES, max_images=1)
    assert kinds(results) == [Sent] * 6
    assert [len(uids) for uids in requests] == [1] * 6


def naming(*given: str) -> Reply:
    """Return an answer to a shared request that names these images only."""

    def reply(peer: WebPeer, request: WebRequest) -> None:
        if len(request.uids) > 1:
            peer.reply(200, stored(given))
        else:
            answer(peer, request)

    return reply


def test_images_that_the_answer_does_not_name_are_sent_alone() -> None:
    """An answer about some of the images splits the rest of the request."""
    results, requests, _ = sent_together(IMAGES, naming(*UIDS[:2]), waiting=6)
    assert kinds(results) == [Sent] * 6
    assert sorted(requests[1:]) == sorted([uid] for uid in UIDS[2:])


@pytest.mark.parametrize("status", [400, 413, 500])
def test_a_refused_request_is_split(status: int) -> None:
    """A refusal of the whole request says nothing about any of its images."""

    def reply(peer: WebPeer, request: WebRequest) -> None:
        if len(request.uids) > 1:
            peer.reply(status)
        else:
            answer(peer, request)

    results, requests, _ = sent_together(IMAGES, reply, waiting=6)
    assert kinds(results) == [Sent] * 6
    assert [len(uids) for uids in requests] == [6] + [1] * 6


def test_a_failed_image_costs_only_itself() -> None:
    """An image that the answer names as failed is not sent, and the others are."""

    def reply(peer: WebPeer, request: WebRequest) -> None:
        if len(request.uids) > 1:
            peer.reply(202, failed(UIDS[0], 0xA900))
        else:
            answer(peer, request)

    results, requests, _ = sent_together(IMAGES, reply, waiting=6)
    assert kinds(results) == [Kind.REFUSED] + [Sent] * 5
    assert len(requests) == 6


def test_a_lost_request_is_split() -> None:
    """If the connection is lost with a request, its images are resent one by one."""

    def reply(peer: WebPeer, _: WebRequest) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nCont")
        peer.reset()

    results, requests, losses = sent_together(IMAGES, reply, waiting=6)
    assert kinds(results) == [Sent] * 6
    assert losses == 6
    assert [len(uids) for uids in requests] == [6] + [1] * 6


def test_an_unreadable_image_costs_only_itself() -> None:
    """If a dataset of a shared request cannot be read, each image is sent alone."""
    broken = made_instance(77, StudyInstanceUID=STUDY)
    broken.dataset.source.truncate(300)
    results, _, _ = sent_together([broken, *IMAGES], waiting=7)
    assert kinds(results) == [Kind.NOT_READ] + [Sent] * 6


def test_a_busy_server_is_not_asked_for_each_image() -> None:
    """After 503 for a shared request and its pause, its images share a request again."""
    replies = [503]

    def reply(peer: WebPeer, request: WebRequest) -> None:
        if replies:
            peer.reply(replies.pop(), Retry_After="1")
        else:
            answer(peer, request)

    results, requests, _ = sent_together(IMAGES, reply, waiting=6)
    assert kinds(results) == [Sent] * 6
    assert len(requests) < 1 + len(IMAGES)


def shared(rounds: Sequence[tuple[int | None, list[int]]]) -> None:
    """Send IMAGES at the same time in each round: its status, None for a loss, and the requests.

    A successful answer names all images of a request.
    """
    begun: list[threading.Event] = []
    sizes: list[int] = []
    status: int | None = 200

    def send(body: Callable[[], StoreBody]) -> Outcome:
        is_free = threading.Event()
        begun.append(is_free)
        assert is_free.wait(30)
        uids = [image.sop_instance_uid for image in body().instances]
        sizes.append(len(uids))
        if status is None:
            raise LostError(Reason(Kind.CONNECTION_LOST))
        response = Response(status, body=stored(uids) if status == 200 else b"")
        return Exchange(response, 1), StoreAnswer.of(response)

    def is_whole(requests: list[int]) -> bool:
        return len(begun) == len(requests) and batches.waiting == requests[-1]

    batches = Batches(send)
    batches.max_images = 20
    for given, requests in rounds:
        status = given
        begun.clear()
        sizes.clear()
        with ThreadPoolExecutor(len(IMAGES)) as threads:
            for image in IMAGES:
                threads.submit(batches.send, image)
            has_all = wait_for(partial(is_whole, requests))
            for is_free in begun:
                is_free.set()
        assert has_all
        assert sorted(sizes, reverse=True) == requests


@pytest.mark.parametrize("status", [None, 200, 400, 413])
def test_a_server_that_refuses_shared_requests_gets_smaller_ones(status: int | None) -> None:
    """Few images are sent twice, whatever the reason: half as many share the next request."""
    halves = [[6], [3, 3], [1] * 6] if status != 200 else [[6]] * 3
    shared([(status, sizes) for sizes in halves])


def test_shared_requests_grow_again() -> None:
    """A failure that has passed does not make requests small for the rest of a run."""
    shared([(400, [6]), *[(200, [3, 3])] * 5, (200, [4, 2])])
    alone = [1] * 6
    shared([(400, [6]), (400, [3, 3]), (400, alone), *[(200, alone)] * 4, (200, [2, 2, 2])])


def test_a_limit_of_the_size_is_kept() -> None:
    """After HTTP 413, requests never grow again."""
    shared([(413, [6]), *[(200, [3, 3])] * 6])


def test_a_busy_server_gets_shared_requests_again() -> None:
    """HTTP 503 says nothing about the size of a request."""
    shared([(503, [6]), (200, [6])])


@pytest.mark.slow
def test_a_request_without_an_answer_does_not_end_the_run() -> None:
    """Each of its images may be resent at the end; together they do not give the server up."""

    def reply(peer: WebPeer, _: WebRequest) -> None:
        peer.read()

    timeouts = replace(TIMEOUTS, response=4)
    results, _, losses = sent_together(IMAGES, reply, waiting=6, timeouts=timeouts)
    assert kinds(results) == [Kind.NO_ANSWER] * 6
    assert losses == 6
    assert all(isinstance(one, Suspect) for one in results)


@pytest.mark.parametrize(
    ("seconds", "images"),
    [([0.002], 1), ([9, 0.1, 0.004], 20), ([0.1, 9, 0.002], 1), ([0.1, 0.002], 1)],
)
def test_the_distance_of_the_server_decides(seconds: list[float], images: int) -> None:
    """With `auto`, images share requests if the shortest of three empty ones takes 3 ms."""
    clock, rest = Clock(), [*seconds]

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.method == "POST":
                clock.sleep(rest.pop(0))
            answer(peer, request)

    options = {"max_images": Auto.AUTO, "policy": RetryPolicy(clock=clock)}
    with WebServer(script) as server, web_sender(server.url, **options) as sender:
        sender.check()
        assert sender.images_per_request == images
    assert rest == []
    assert server.stored == []
