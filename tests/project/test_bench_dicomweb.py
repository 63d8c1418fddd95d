"""Parts of the benchmarks for DICOMweb: the replay, the sink and the separate results."""

import json
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.datasets import make_ct, make_mr
from benchmarks.replay import replay_web
from benchmarks.sink import CHUNK, sink
from tests.support.pacs import HOST
from tests.support.web_server import WebServer, answering


def test_a_replay_sends_each_file_once(tmp_path: Path) -> None:
    """Files over two connections arrive unchanged, each in a request of its own."""
    folders = [make_mr(tmp_path, 3).folder, make_ct(tmp_path, 2).folder]
    files = [path for folder in folders for path in sorted(folder.rglob("*.dcm"))]

    with WebServer() as server:
        replayed = replay_web(server.url, 2, files)

    assert replayed.stored == 5
    assert {request.connection for request in server.requests} == {0, 1}
    bodies = [request.body.split(b"\r\n\r\n", 1)[1] for request in server.requests]
    received = sorted(body.rsplit(b"\r\n--", 1)[0] for body in bodies)
    assert received == sorted(path.read_bytes() for path in files)


def test_a_replay_counts_named_images_only(tmp_path: Path) -> None:
    """An answer 200 without the image is not counted."""
    files = sorted(make_mr(tmp_path, 2).folder.rglob("*.dcm"))
    nothing = b'{"00081199": {"vr": "SQ"}}'

    with WebServer(answering((200, nothing))) as server:
        assert replay_web(server.url, 1, files).stored == 1


def uids_in(answer: bytes) -> list[str]:
    """Return the UIDs that an answer names as stored."""
    return [item["00081155"]["Value"][0] for item in json.loads(answer)["00081199"]["Value"]]


def test_the_sink_names_all_images(tmp_path: Path) -> None:
    """It reads bodies of a known length and in chunks, of several images and of a large one."""
    files = sorted(make_mr(tmp_path, 2).folder.rglob("*.dcm"))
    one, other = (path.read_bytes() for path in files)
    first, second = (f"1.2.826.0.1.3680043.8.498.77.1.1.{number}" for number in (1, 2))

    with sink() as port:
        connection = HTTPConnection(HOST, port)
        answers = []
        for body in (one + other, iter([one, other]), other + b"\n" * CHUNK, b""):
            connection.request("POST", "/studies", body)
            answers.append(uids_in(connection.getresponse().read()))
        connection.close()
        with urllib.request.urlopen(f"http://{HOST}:{port}/studies?limit=1") as answer:
            assert answer.status == 200

    assert answers == [[first, second], [first, second], [second], []]


def test_the_sink_agrees_to_receive_a_large_body() -> None:
    """It answers 100 to a request that waits for it."""
    with sink() as port:
        connection = HTTPConnection(HOST, port, timeout=10)
        connection.putrequest("POST", "/studies")
        connection.putheader("Content-Length", "1")
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        assert connection.sock is not None
        assert connection.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.close()


@pytest.mark.slow
def test_dicomweb_is_measured_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its results have a file of their own."""
    options = ["--scale", "0", "--sets", "mr", "--rounds", "1", "--senders", "command-4,replay-4"]

    assert main([*options, "--targets", "web-sink,c-store", "--docs", str(tmp_path)]) == 0

    assert [path.name for path in tmp_path.iterdir()] == ["benchmarks-dicomweb.json"]
    results = json.loads((tmp_path / "benchmarks-dicomweb.json").read_text())
    rows = [(row["target"], row["sender"]) for row in results["rows"]]
    assert rows == [("web-sink", "command-4"), ("web-sink", "replay-4"), ("c-store", "command-4")]
    assert "### sink by DICOMweb: 8 MR images" in capsys.readouterr().out
