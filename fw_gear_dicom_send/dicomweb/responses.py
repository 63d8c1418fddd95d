"""Reader of responses of HTTP/1.1 (RFC 9112). It does no I/O."""

import re
from collections.abc import Callable
from math import inf

from .messages import Request, Response

MAX_ANSWER = 4 << 20
"""Maximum bytes of the body of a response; more is not read."""
_MAX_HEAD = 1 << 16
"""Maximum bytes before the body, in the line before a chunk, or after the last chunk."""
_START = b"HTTP/1."
_STATUS = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00\r\n]*)")
_FOLD = re.compile(r"\r?\n[ \t]+")
_LENGTH = re.compile(r"([0-9]{1,18})(?:[ \t]*,[ \t]*\1)*")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_END_OF_CHUNK = b"\r\n"
_END_OF_TRAILER = re.compile(rb"\A\r?\n|\n\r?\n")


class InvalidResponseError(Exception):
    """The received data is no response of HTTP/1.1."""


class ResponseReader:
    """Reader of the response to a request, which counts once it `is_done`.

    With `may_proceed`, the server waits for the body of the request. With `is_reusable`, the
    connection can be used for another request. The other mutable state is the unread data, the
    step that reads it, the bytes that remain of a body or chunk, and the body so far.
    """

    def __init__(self, request: Request) -> None:
        """Read the response to this request."""
        self._request = request
        self.response: Response | None = None
        self.may_proceed = self.is_done = self.is_reusable = False
        self._data = bytearray()
        self._step: Callable[[], bool] = self._read_head
        self._is_chunked = False
        self._remaining: float = 0
        self._body = bytearray()

    def receive(self, data: bytes) -> None:
        """Read data, which is empty at the end of the stream. Raises InvalidResponseError."""
        self._data += data
        if not data and self._remaining == inf:
            self._finish()
        while not self.is_done and self._step():
            pass

    def _read_head(self) -> bool:
        """Read status and header fields; return whether there may be more to read."""
        found = _END_OF_HEAD.search(self._data)
        if not found:
            if not _START.startswith(self._data[: len(_START)]):
                raise InvalidResponseError
            return self._wait()
        text = self._data[: found.start() + 1].decode("latin-1")
        del self._data[: found.end()]
        first, *lines = _FOLD.sub(" ", text).replace("\r\n", "\n")[:-1].split("\n")
        status = _STATUS.fullmatch(first)
        if not status:
            raise InvalidResponseError
        headers = _fields(lines)
        code = int(status[2])
        if code == 101:  # an upgrade that was not requested
            raise InvalidResponseError
        if code < 200:
            self.may_proceed = self.may_proceed or code == 100
            return True
        self.response = Response(code, headers)
        closes = "close" in headers.get("connection", "").lower()
        self.is_reusable = status[1] != "0" and not closes
        self._frame(self.response)
        return True

    def _frame(self, response: Response) -> None:
        """Decide how the body ends (RFC 9112 6.3)."""
        coding = response.headers.get("transfer-encoding")
        length = response.headers.get("content-length")
        is_tunnel = self._request.method == "CONNECT" and response.is_success
        if is_tunnel or response.status in (204, 304):
            self.is_reusable = self.is_reusable or is_tunnel
            self._finish()
        elif coding is not None:
            if coding.lower() != "chunked":
                raise InvalidResponseError
            self._is_chunked, self._step = True, self._read_size
            # Both fields together may hide a second response.
            self.is_reusable = self.is_reusable and length is None
        elif length is None:
            self._await(inf)
            self.is_reusable = False
        elif found := _LENGTH.fullmatch(length):
            self._await(int(found[1]))
        else:
            raise InvalidResponseError

    def _await(self, size: float) -> None:
        """Expect a body or a chunk of `size` bytes."""
        self._remaining, self._step = size, self._read_data
        if not size:
            self._finish()

    def _read_data(self) -> bool:
        """Read bytes of the body or of a chunk."""
        size = int(min(self._remaining, len(self._data)))
        data = bytes(self._data[:size])
        del self._data[:size]
        self._remaining -= size
        self._keep(data)
        if self._remaining or self.is_done:
            return False
        if self._is_chunked:
            self._step = self._read_end_of_chunk
            return True
        self._finish()
        return False

    def _read_size(self) -> bool:
        """Read the line before a chunk (RFC 9112 7.1)."""
        found = _CHUNK.match(self._data)
        if not found:
            if b"\n" in self._data:
                raise InvalidResponseError
            return self._wait()
        self._remaining = int(found[1], 16)
        del self._data[: found.end()]
        self._step = self._read_data if self._remaining else self._read_trailer
        return True

    def _read_end_of_chunk(self) -> bool:
        end = self._data[: len(_END_OF_CHUNK)]
        if not _END_OF_CHUNK.startswith(end):
            raise InvalidResponseError
        if end != _END_OF_CHUNK:
            return False
        del self._data[: len(end)]
        self._step = self._read_size
        return True

    def _read_trailer(self) -> bool:
        """Skip the fields after the last chunk."""
        found = _END_OF_TRAILER.search(self._data)
        if not found:
            return self._wait()
        del self._data[: found.end()]
        self._finish()
        return False

    def _wait(self) -> bool:
        if len(self._data) > _MAX_HEAD:
            raise InvalidResponseError
        return False

    def _keep(self, data: bytes) -> None:
        """Keep bytes of the body, up to the maximum size."""
        assert self.response  # noqa: S101  (a body follows a head)
        if self._request.take and self.response.is_success:
            self._request.take(self.response, data)
        elif len(self._body) + len(data) > MAX_ANSWER:
            self._finish(is_cut=True)
        else:
            self._body += data

    def _finish(self, *, is_cut: bool = False) -> None:
        head = self.response
        assert head  # noqa: S101  (a response ends after its head)
        self.response = Response(head.status, head.headers, bytes(self._body), is_cut)
        self.is_done = True
        self.is_reusable = self.is_reusable and not (is_cut or self._data)


def _fields(lines: list[str]) -> dict[str, str]:
    """Return header fields by lower-case name; those of one name are joined (RFC 9110 5.3)."""
    headers: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if not found:
            raise InvalidResponseError
        name, value = found[1].lower(), found[2].strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
