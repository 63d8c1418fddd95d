"""Responses of HTTP, read from the bytes of a server that may be hostile."""

import pytest

from fw_gear_dicom_send.dicomweb.messages import Request, Response
from fw_gear_dicom_send.dicomweb.responses import (
    MAX_ANSWER,
    InvalidResponseError,
    ResponseReader,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"


def read(*pieces: bytes, method: str = "POST") -> ResponseReader:
    """Return the reader of a response after these pieces of it."""
    reader = ResponseReader(Request(method, "/", ()))
    for piece in pieces:
        reader.receive(piece)
    return reader


@pytest.mark.parametrize(
    ("data", "status", "body", "is_reusable"),
    [
        (OK + b"Content-Length: 2\r\n\r\nok", 200, b"ok", True),
        (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
        (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
        (OK + b"content-length:2\r\nConnection: Close\r\n\r\nok", 200, b"ok", False),
        (OK.replace(b"1.1", b"1.0") + b"Content-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.1 404\nContent-Length: 2\n\nno", 404, b"no", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
        (CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok", True),
        (CHUNKED + b"\r\nA;x=1\r\n0123456789\r\n01 \r\n!\r\n0\r\n\r\n", 200, b"0123456789!", True),
        (CHUNKED + b"\r\n2\r\nok\r\n0\r\nETag: x\r\nAge: 1\r\n\r\n", 200, b"ok", True),
        (CHUNKED + b"Content-Length: 7\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", 200, b"ok", True),
        (b"HTTP/1.1 103 X\r\nLink: x\r\n\r\nHTTP/1.1 204 X\r\n\r\n", 204, b"", True),
    ],
)
def test_a_response_is_read_in_any_pieces(
    data: bytes, status: int, body: bytes, is_reusable: bool
) -> None:
    """The response is the same at once and byte by byte, and ends exactly at its end."""
    pieces = [bytes([byte]) for byte in data]
    for reader in (read(data), read(*pieces)):
        assert reader.response
        assert (reader.response.status, reader.response.body) == (status, body)
        assert (reader.is_done, reader.is_reusable) == (True, is_reusable)
    assert not read(*pieces[:-1]).is_done


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x03\x00\x02\x02\x16",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: +2\r\n\r\nok",
        OK + b"Content-Length: 2, 3\r\n\r\nok",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        OK + b"Content-Length:\r\n\r\n",
        OK + b"Content-Length : 2\r\n\r\nok",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"Server: a\0b\r\n\r\n",
        OK + b"Server: a\rContent-Length: 2\r\n\r\nok",
        CHUNKED + b"\r\n-2\r\nok\r\n",
        CHUNKED + b"\r\n0x2\r\nok\r\n",
        CHUNKED + b"\r\n\r\nok\r\n",
        CHUNKED + b"\r\n10000000000000000\r\nok\r\n",
        CHUNKED + b"\r\n2\r\nokay\r\n0\r\n\r\n",
    ],
)
def test_an_invalid_response_is_refused(data: bytes) -> None:
    """What has more than one meaning, or is no HTTP/1.1, is no answer."""
    with pytest.raises(InvalidResponseError):
        read(data)


@pytest.mark.parametrize(
    "start",
    [OK + b"X: ", CHUNKED + b"\r\n2;", CHUNKED + b"\r\n0\r\nX: "],
    ids=["head", "chunk", "trailer"],
)
def test_parts_without_end_are_refused(start: bytes) -> None:
    """At most 64 KiB wait for the end of a line or of a head."""
    with pytest.raises(InvalidResponseError):
        read(start, *[b"a" * 1000] * 80)


@pytest.mark.parametrize(
    "start",
    [OK + b"\r\n", OK + b"Content-Length: 99999999999\r\n\r\n", CHUNKED + b"\r\nFFFFFFFF\r\n"],
)
def test_a_body_is_cut_at_its_maximum_size(start: bytes) -> None:
    """Of a larger body, the start is kept, and the connection is not used again."""
    reader = read(start, *[bytes(1 << 16)] * 64, b"more")
    assert reader.response
    assert (reader.is_done, reader.is_reusable, reader.response.is_cut) == (True, False, True)
    assert len(reader.response.body) <= MAX_ANSWER


def test_a_body_without_length_ends_with_the_connection() -> None:
    """Only the end of the stream shows that it is whole."""
    reader = read(OK + b"\r\n", b"ok")
    assert not reader.is_done
    reader.receive(b"")
    assert reader.response == Response(200, {}, b"ok")
    assert not reader.is_reusable


@pytest.mark.parametrize("data", [OK, OK + b"Content-Length: 2\r\n\r\n", CHUNKED + b"\r\n2\r\nok"])
def test_a_response_that_breaks_off_is_not_whole(data: bytes) -> None:
    """The end of the stream does not end a response of another length."""
    assert not read(data, b"").is_done


def test_a_second_response_is_never_read() -> None:
    """Data after a response is not the answer to the next request."""
    reader = read(OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 3\r\n\r\nbad")
    assert reader.response
    assert reader.response.body == b"ok"
    assert not reader.is_reusable


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_tunnel_has_no_body(version: bytes) -> None:
    """After CONNECT, the connection belongs to the tunnel, whatever the fields say."""
    head = b"HTTP/" + version + b" 200 Connection established\r\nContent-Length: 5\r\n\r\n"
    reader = read(head, method="CONNECT")
    assert (reader.is_done, reader.is_reusable) == (True, True)
    refusal = read(b"HTTP/1.0 407 X\r\nContent-Length: 2\r\n\r\nno", method="CONNECT")
    assert refusal.response == Response(407, {"content-length": "2"}, b"no")


def test_fields_of_one_name_are_joined() -> None:
    """Names have no case, values no spaces around them, and folded lines are one."""
    head = b"HTTP/1.1 204 X\r\nA:  1 \r\nb:\t\r\na: 2\r\n  3\r\n\r\n"
    assert read(head).response == Response(204, {"a": "1, 2 3", "b": ""})


def test_blocks_are_given_away_as_they_arrive() -> None:
    """A reader of content gets a successful body of any size, and the response has none."""
    got: list[bytes] = []
    request = Request("GET", "/", (), take=lambda _, data: got.append(data))
    reader = ResponseReader(request)
    reader.receive(OK + b"Content-Length: 6291456\r\n\r\n")
    for _ in range(96):
        reader.receive(bytes(1 << 16))
    assert reader.response == Response(200, {"content-length": "6291456"})
    assert sum(map(len, got)) == 6 << 20


@pytest.mark.parametrize(("status", "is_consent"), [(b"100", True), (b"102", False)])
def test_only_one_interim_response_is_a_consent(status: bytes, is_consent: bool) -> None:
    """The body of a large request waits for 100, whatever else the server says."""
    reader = read(b"HTTP/1.1 " + status + b" X\r\n\r\n")
    assert (reader.may_proceed, reader.response) == (is_consent, None)
