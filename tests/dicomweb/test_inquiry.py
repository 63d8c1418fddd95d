"""Queries and retrieval show which images a server has, whatever the server omits."""

import json
from collections.abc import Callable
from threading import Event
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

import pytest

from fw_gear_dicom_send.delivery.inquiry import MAX_TRIES
from fw_gear_dicom_send.delivery.results import ImageReference, Verification
from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.dicomweb.content import ContentReader
from fw_gear_dicom_send.dicomweb.messages import Response
from fw_gear_dicom_send.dicomweb.request import StoreBody
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support.instances import made_instance
from tests.support.web_sending import TIMEOUTS, web_sender
from tests.support.web_server import WebPeer, WebRequest, WebServer

CT = "1.2.840.10008.5.1.4.1.1.2"
IMAGES = [ImageReference(CT, f"1.2.3.{number}", "1.2", "1.2.3") for number in range(1, 501)]
UIDS = [image.sop_instance_uid for image in IMAGES]
HAS = UIDS[:450]

Answers = Callable[[WebPeer, WebRequest], None]


def listing(uids: list[str]) -> bytes:
    return json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


def archive(
    *, page: int = 1000, has_offset: bool = True, has_filter: bool = True
) -> Callable[[WebPeer], None]:
    """Return a script of a server with the first 450 images that may ignore parts of a query."""

    def script(peer: WebPeer) -> None:
        while True:
            query = parse_qs(urlsplit(peer.read().target).query)
            found = HAS
            if has_filter and "SOPInstanceUID" in query:
                found = [uid for uid in HAS if uid in query["SOPInstanceUID"]]
            start = int(query.get("offset", ["0"])[0]) if has_offset else 0
            size = min(page, int(query.get("limit", ["1000"])[0]))
            part = found[start : start + size]
            peer.reply(200 if part else 204, listing(part) if part else b"")

    return script


def verified(script: Callable[[WebPeer], None], images: list[ImageReference]) -> Verification:
    with WebServer(script) as server, web_sender(server.url) as sender:
        return sender.inquirer("find").verify(images)


@pytest.mark.parametrize(
    "limits",
    [{}, {"page": 50}, {"page": 50, "has_offset": False}],
    ids=["whole pages", "short pages", "no offset"],
)
def test_a_list_is_read_page_by_page(limits: dict[str, bool]) -> None:
    """Short pages and an ignored offset leave no image out."""
    found = verified(archive(**limits), IMAGES)
    assert found.verified == set(HAS)
    assert found.absent == set(UIDS) - set(HAS)
    assert found.unknown == {}


def test_a_list_without_end_is_given_up() -> None:
    """A server with ever new images, each in a page of its own, does not hold the run."""

    def script(peer: WebPeer) -> None:
        while True:
            peer.read()
            peer.reply(200, listing([f"1.2.4.{len(peer.server.requests)}"]))

    timeouts = replace(TIMEOUTS, find=0.1)
    with WebServer(script) as server, web_sender(server.url, timeouts=timeouts) as sender:
        found = sender.inquirer("find").verify(IMAGES[:2])
    assert {reason.kind for reason in found.unknown.values()} <= {
        Kind.QUERY_FAILED,
        Kind.NO_ANSWER,
    }
    assert len(found.unknown) == 2
    assert len(server.requests) < 50_000


def test_an_image_needs_one_request_and_a_series_all_its_pages() -> None:
    """One image of a series is queried by its UID; a list ends with an empty page."""
    with WebServer(archive()) as server, web_sender(server.url) as sender:
        assert sender.inquirer("find").verify(IMAGES[:1]).verified == {UIDS[0]}
    with WebServer(archive(page=50)) as paged, web_sender(paged.url) as sender:
        assert sender.finder().present("1.2", "1.2.3") == set(HAS)
    assert [urlsplit(one.target).path for one in server.requests[:1]] == [
        "/dicom-web/studies/1.2/series/1.2.3/instances"
    ]
    assert server.requests[0].target.endswith("?SOPInstanceUID=1.2.3.1")


def replying(status: int, body: bytes = b"") -> Callable[[WebPeer], None]:
    def script(peer: WebPeer) -> None:
        while True:
            peer.read()
            peer.reply(status, body)

    return script


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, b"", Kind.QUERY_FAILED),
        (401, b"", Kind.QUERY_FAILED),
        (200, b"<html>", Kind.QUERY_FAILED),
        (501, b"", Kind.NOT_OFFERED),
        (405, b"", Kind.NOT_OFFERED),
    ],
)
def test_a_failed_query_verifies_nothing(status: int, body: bytes, kind: Kind) -> None:
    """An answer without a list makes images neither verified nor absent."""
    found = verified(replying(status, body), IMAGES[:2])
    assert (found.verified, found.absent) == (frozenset(), frozenset())
    assert {one.kind for one in found.unknown.values()} == {kind}


@pytest.mark.parametrize("can_query", [True, False])
def test_an_unknown_series_has_no_images_if_queries_work(can_query: bool) -> None:
    """After 404, images are absent if the check had an answer to its query, else unknown."""

    def store(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            is_found = request.method == "POST" or (can_query and "limit=1" in request.target)
            peer.reply(200 if is_found else 404)

    with WebServer(store) as server, web_sender(server.url) as sender:
        sender.check()
        found = sender.inquirer("find").verify(IMAGES[:1])
    assert found.absent == (set(UIDS[:1]) if can_query else set())


def test_after_three_failures_no_more_queries_are_sent() -> None:
    """Each series fails alone, and the fourth is not queried."""
    images = [ImageReference(CT, f"1.{n}", f"2.{n}", f"3.{n}") for n in range(1, 7)]
    with WebServer(replying(500)) as server, web_sender(server.url) as sender:
        inquirer = sender.inquirer("find")
        assert len(inquirer.verify(images).unknown) == 6
        assert inquirer.given_up
        with pytest.raises(QueryError):
            sender.finder().present("1.2", "1.2.3")
    assert len(server.requests) == 3 + MAX_TRIES


def test_after_three_failures_no_more_series_are_listed() -> None:
    """A server that fails three times in a row is not asked for the images of a fourth series."""
    with WebServer(replying(500)) as server, web_sender(server.url) as sender:
        finder = sender.finder()
        for number in range(1, 7):
            with pytest.raises(QueryError):
                finder.present("1.2", f"1.2.{number}")
    assert len(server.requests) == 3 * MAX_TRIES


@pytest.mark.parametrize("uid", ["", "..", "1.2/../x", "1.2?a", "1.2 3"])
def test_an_odd_uid_is_not_queried(uid: str) -> None:
    """A UID that cannot be part of a path is not sent to the server."""
    image = ImageReference(CT, "1.2", uid, "1.3")
    with WebServer(archive()) as server, web_sender(server.url) as sender:
        found = sender.inquirer("find").verify([image])
        assert sender.finder().present(uid, "1.3") == frozenset()
    assert found.unknown["1.2"].kind is Kind.NOT_QUERYABLE
    assert server.requests == []


@pytest.mark.parametrize("status", [400, 406])
def test_a_server_that_refuses_the_syntax_returns_the_stored_file(status: int) -> None:
    """A refused transfer syntax is followed by a request for the image as it is stored."""

    def script(peer: WebPeer) -> None:
        while True:
            if not peer.read().headers["accept"].endswith("transfer-syntax=*"):
                peer.reply(status)
                continue
            body = b"--abc\r\n\r\n" + FILE + b"\r\n--abc--"
            peer.reply(200, body, Content_Type="multipart/related; boundary=abc")

    image = ImageReference(CT, "1.2", "1.3", "1.4", "1.2.840.10008.1.2.5", crc32(DATASET))
    with WebServer(script) as server, web_sender(server.url) as sender:
        assert sender.inquirer("content").verify([image]).verified == {"1.2"}


def test_a_large_image_is_read_for_as_long_as_an_answer_to_it() -> None:
    """A retrieval may take the time of a response, as images are larger than lists."""

    def script(peer: WebPeer) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary=abc\r\n\r\n")
        Event().wait(0.5)
        peer.send(b"--abc\r\n\r\n" + FILE + b"\r\n--abc--")

    image = ImageReference(CT, "1.2", "1.3", "1.4", "1.2.840.10008.1.2.5", crc32(DATASET))
    timeouts = replace(TIMEOUTS, find=0.2)
    with WebServer(script) as server, web_sender(server.url, timeouts=timeouts) as sender:
        assert sender.inquirer("content").verify([image]).verified == {"1.2"}


def retrieved(body: bytes, boundary: str, step: int) -> int | None:
    """Return the CRC-32 of the dataset in an answer that comes in blocks of `step` bytes."""
    reader = ContentReader()
    content = f'multipart/related; type="application/dicom"; boundary={boundary}'
    response = Response(200, {"content-type": content})
    for start in range(0, len(body), step):
        reader.take(response, body[start : start + step])
    return reader.crc32


IMAGE = made_instance()
DATASET = b"".join(IMAGE.dataset.blocks())
FILE = b"".join(StoreBody((IMAGE,)).blocks()).split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("boundary", ["abc", '"a b+c"'])
def test_the_dataset_of_an_answer_has_its_checksum(step: int, boundary: str) -> None:
    """Blocks of any size, a quoted boundary and further header fields make no difference."""
    mark = boundary.strip('"').encode()
    head = b"--" + mark + b"\r\nContent-Type: application/dicom\r\nContent-Length: 9\r\n\r\n"
    body = b"preamble\r\n" + head + FILE + b"\r\n--" + mark + b"--\r\n"
    assert retrieved(body, boundary, step) == crc32(DATASET)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--abc\r\n\r\n",
        b"--abc\r\n\r\n" + FILE,
        b"--abc\r\n\r\n" + bytes(200) + b"\r\n--abc--",
        b"--abc\r\n\r\n" + FILE[:150] + b"\r\n--abc--",
        b"x" * (3 << 20),
    ],
    ids=["empty", "no file", "no end", "no DICM", "no dataset", "large"],
)
def test_an_incomplete_answer_has_no_checksum(body: bytes) -> None:
    """Without a whole file, there is nothing to compare."""
    assert retrieved(body, "abc", 5000) is None
