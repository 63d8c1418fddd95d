"""An answer of a busy server, or of a proxy with a limit, costs no image and no query."""

from collections import Counter
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.delivery.deliver import MAX_BUSY_TRIES
from fw_gear_dicom_send.delivery.inquiry import MAX_TRIES
from fw_gear_dicom_send.delivery.results import AlreadyStored, ImageReference, Sent, Suspect
from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.option_values import OnConflict
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.clock import Clock
from tests.support.instances import made_instance
from tests.support.web_sending import send_once, web_sender
from tests.support.web_server import WebPeer, WebServer, answer, answering, failed, stored

IMAGE, OTHER = made_instance(1), made_instance(2)
UID = IMAGE.sop_instance_uid
REFERENCE = ImageReference(IMAGE.sop_class_uid, UID, "1.2", "1.3")
LISTED = b'[{"00080018": {"vr": "UI", "Value": ["%s"]}}]' % UID.encode()
BEFORE_HANDLING = [408, 429, 503]
BY_A_GATEWAY = [502, 504]


def policy_on(clock: Clock) -> RetryPolicy:
    return RetryPolicy(min_wait=1, max_wait=2, clock=clock)


def busy_for(tries: int, *uids: str, status: int = 503) -> Callable[[WebPeer], None]:
    """Return a script that answers the first requests of each image (or of these) with a status."""
    seen: Counter[str] = Counter()

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            (uid,) = request.uids or ("",)
            if request.method == "POST" and (not uids or uid in uids):
                seen[uid] += 1
            if 0 < seen[uid] <= tries:
                peer.reply(status)
            else:
                answer(peer, request)

    return script


def listing(*statuses: int, body: bytes = LISTED, **headers: str) -> Callable[[WebPeer], None]:
    """Return a script that answers requests with these statuses in turn, and then with a body."""
    rest = list(statuses)

    def script(peer: WebPeer) -> None:
        while True:
            peer.read()
            if rest:
                peer.reply(rest.pop(0), **headers)
            else:
                peer.reply(200, body)

    return script


@pytest.mark.parametrize("status", BEFORE_HANDLING)
def test_an_image_that_the_server_put_off_is_resent_after_the_pause(status: int) -> None:
    """Several busy answers in a row do not use an image up."""
    with WebServer(busy_for(MAX_BUSY_TRIES - 1, status=status)) as server:
        first, second = send_once(server.url, IMAGE, OTHER)
    assert isinstance(first, Sent)
    assert isinstance(second, Sent)
    assert first.transfer.tries == MAX_BUSY_TRIES


def test_an_image_that_is_always_put_off_costs_only_itself() -> None:
    """It is put aside after some tries, others are sent, and it fails alone at the end."""
    clock = Clock()
    with (
        WebServer(busy_for(1000, UID)) as server,
        web_sender(server.url, policy=policy_on(clock)) as sender,
    ):
        first = sender.send(IMAGE)
        assert isinstance(first, Suspect)
        assert isinstance(sender.send(OTHER), Sent)
        last = sender.send(IMAGE, first)
        assert not sender.facts().given_up
    assert isinstance(last, Suspect)
    assert last.failure.reason.kind is Kind.OUT_OF_RESOURCES
    assert server.stored.count(UID) == 2 * MAX_BUSY_TRIES


def test_a_server_that_stays_busy_is_given_up() -> None:
    """Without an accepted image for the retry time, the run gives the server up."""
    clock = Clock()
    with (
        WebServer(answering(*[503] * 1000, Retry_After="40")) as server,
        web_sender(server.url, retry_time=100, policy=policy_on(clock)) as sender,
    ):
        began = clock.now()
        sender.send(IMAGE)
        given_up = sender.facts().given_up
        assert 100 <= clock.now() - began <= 140
    assert given_up
    assert given_up.kind is Kind.GIVEN_UP
    assert len(server.stored) == 4


def test_without_retry_time_an_image_is_put_aside_at_once() -> None:
    """A busy answer neither gives the server up nor repeats the image."""
    with (
        WebServer(answering(503)) as server,
        web_sender(server.url, retry_time=0) as sender,
    ):
        assert isinstance(sender.send(IMAGE), Suspect)
        assert isinstance(sender.send(OTHER), Sent)
    assert len(server.stored) == 2


def test_an_image_that_was_put_off_still_gets_its_second_try() -> None:
    """An answer 500 after a busy one is that of a first try."""
    with WebServer(answering(503, 500)) as server:
        (result,) = send_once(server.url, IMAGE)
    assert isinstance(result, Suspect)
    assert result.failure.reason.status == "HTTP 500"


@pytest.mark.parametrize(
    ("status", "kind"),
    [*((one, AlreadyStored) for one in BEFORE_HANDLING), *((one, Sent) for one in BY_A_GATEWAY)],
    ids=str,
)
def test_the_server_behind_a_gateway_may_have_stored_the_image(status: int, kind: type) -> None:
    """After 502 and 504 an existing image is ours; after another busy answer it is older."""
    with (
        WebServer(answering(status, (409, failed(UID, 45070)))) as server,
        web_sender(server.url) as sender,
    ):
        result = sender.send(IMAGE)
        if status in BY_A_GATEWAY:
            assert isinstance(result, Suspect)
            assert result.may_be_stored
            assert len(server.stored) == 1  # not twice in a row
            result = sender.send(IMAGE, result)
    assert isinstance(result, kind)


def test_a_gateway_without_its_server_costs_one_try() -> None:
    """After 502, no image is sent until the server behind the gateway answers a query."""
    posts = []

    def gateway(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            posts.append(request.method == "POST")
            if len(posts) <= 4:
                peer.reply(502)
            else:
                answer(peer, request)

    with WebServer(gateway) as server, web_sender(server.url) as sender:
        first = sender.send(IMAGE)
        assert posts == [True, False, False, False, False]
        assert isinstance(first, Suspect)
        assert isinstance(sender.send(IMAGE, first), Sent)


def test_a_replaced_image_is_resent_after_a_gateway_failed() -> None:
    """With `replace`, an image on the server may be the older one."""
    with WebServer(answering(504)) as server:
        (result,) = send_once(server.url, IMAGE, on_conflict=OnConflict.REPLACE)
    assert isinstance(result, Sent)


def test_a_put_off_deletion_does_not_end_the_replacement() -> None:
    """A busy answer to DELETE is followed by another try of the image."""
    exists = failed(UID, 272, **{"00091097": {"vr": "LO", "Value": ["ALREADY_EXISTS"]}})
    replies = [(409, exists), (429, b""), (409, exists), (200, b""), (200, stored([UID]))]

    def script(peer: WebPeer) -> None:
        while True:
            peer.read()
            peer.reply(*replies.pop(0))

    with WebServer(script) as server:
        (result,) = send_once(server.url, IMAGE, on_conflict=OnConflict.REPLACE)
    assert isinstance(result, Sent)
    assert [one.method for one in server.requests] == ["POST", "DELETE", "POST", "DELETE", "POST"]


@pytest.mark.parametrize("status", [*BEFORE_HANDLING, *BY_A_GATEWAY])
def test_a_query_waits_for_a_busy_server(status: int) -> None:
    """A verification and a list of a series wait as long as the server says."""
    for method in ("find", "present"):
        clock = Clock()
        with (
            WebServer(listing(status, status, Retry_After="40")) as server,
            web_sender(server.url, policy=policy_on(clock)) as sender,
        ):
            began = clock.now()
            if method == "find":
                assert sender.inquirer("find").verify([REFERENCE]).verified == {UID}
            else:
                assert sender.finder().present("1.2", "1.3") == {UID}
            assert 80 <= clock.now() - began < 90


def test_a_retrieval_waits_for_a_busy_server() -> None:
    """A limit of retrievals is no failed verification."""
    clock = Clock()
    with (
        WebServer(listing(429, 429, body=b"")) as server,
        web_sender(server.url, policy=policy_on(clock)) as sender,
    ):
        found = sender.inquirer("content").verify([REFERENCE])
    assert found.unknown[UID].detail.endswith("is not a DICOM file")
    assert len(server.requests) == 3


def test_a_query_waits_no_longer_than_the_retry_time() -> None:
    """A server that stays busy fails the query, and is not given up for images."""
    clock = Clock()
    with (
        WebServer(listing(*[429] * 1000, Retry_After="40")) as server,
        web_sender(server.url, retry_time=100, policy=policy_on(clock)) as sender,
    ):
        began = clock.now()
        found = sender.inquirer("find").verify([REFERENCE])
        assert 100 <= clock.now() - began <= 140
        assert not sender.facts().given_up
    assert found.unknown[UID].kind is Kind.QUERY_FAILED


def test_a_query_for_a_lost_answer_has_little_time() -> None:
    """The query before an image is resent is not repeated when its time is over."""
    clock = Clock()
    with (
        WebServer(listing(*[429] * 1000, Retry_After="40")) as server,
        web_sender(server.url, policy=policy_on(clock)) as sender,
    ):
        sender.finder(3).verify([REFERENCE])
    assert len(server.requests) == 2


def test_a_failed_list_of_a_series_is_retried() -> None:
    """`skip_existing` has the second tries of a C-FIND."""
    with WebServer(listing(500, 500)) as server, web_sender(server.url) as sender:
        assert sender.finder().present("1.2", "1.3") == {UID}
    with (
        WebServer(listing(*[500] * 9)) as server,
        web_sender(server.url) as sender,
        pytest.raises(QueryError),
    ):
        sender.finder().present("1.2", "1.3")
    assert len(server.requests) == MAX_TRIES


def test_only_failures_in_a_row_end_the_lists() -> None:
    """A series that the server lists starts the count of failures again."""
    fails = [500] * MAX_TRIES
    script = listing(*fails, *fails, 204, *fails, *fails, 204)
    with WebServer(script) as server, web_sender(server.url) as sender:
        finder = sender.finder()
        for _ in range(2):
            for _ in range(2):
                with pytest.raises(QueryError):
                    finder.present("1.2", "1.3")
            assert finder.present("1.2", "1.3") == frozenset()


def test_waits_for_a_busy_server_do_not_grow_after_an_answer() -> None:
    """Each answered query starts the waits again."""
    clock = Clock()
    policy = RetryPolicy(min_wait=1, max_wait=64, jitter=False, clock=clock)
    with (
        WebServer(listing(*[429, 204] * 6)) as server,
        web_sender(server.url, policy=policy) as sender,
    ):
        for _ in range(6):
            sender.finder().present("1.2", "1.3")
    assert clock.waits == [1] * 6
