"""Images arrive through nginx with the limits of real sites."""

import json
import threading
from pathlib import Path

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Sent, Suspect
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.retry import RetryPolicy
from tests.dicomweb.test_connections import secure
from tests.support.certificates import issue
from tests.support.instances import made_instance
from tests.support.pacs import DicomWebOrthanc, Nginx
from tests.support.sample_files import encoded, made
from tests.support.send_command import send
from tests.support.waiting import wait_for
from tests.support.web_sending import send_once, web_sender
from tests.support.web_server import WebPeer, WebServer, serve

IMAGES = [made_instance(number) for number in range(12)]
PATIENT = RetryPolicy(min_wait=0.1, max_wait=0.2)
ONE_IMAGE_AT_A_TIME = "limit_conn_zone $server_port zone=one:1m;"


def test_a_large_image_costs_only_itself(tmp_path: Path, web_orthanc: DicomWebOrthanc) -> None:
    """After 413 with a page, the rest of the run is sent; the image has the advice of its code."""
    for number in range(6):
        pixels = 1000 if number == 2 else 16
        (tmp_path / f"{number}.dcm").write_bytes(encoded(made(number, pixels=pixels)))
    with Nginx(web_orthanc.http_port, "client_max_body_size 1m;") as proxy:
        result = send(tmp_path, proxy.url, "--no-reports", "--json", cwd=tmp_path)
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert (summary["sent"], summary["failed"]) == (5, {"too-large-for-server": 1})
    assert len(web_orthanc.ids()) == 5


def test_connections_that_nginx_closes_cost_nothing(web_orthanc: DicomWebOrthanc) -> None:
    """With a short keepalive_timeout, images are sent over new connections, and none is lost."""
    with (
        Nginx(web_orthanc.http_port, "keepalive_timeout 10ms;") as proxy,
        web_sender(proxy.url) as sender,
    ):
        for number, image in enumerate(IMAGES):
            threading.Event().wait(0.002 * number)  # sometimes just when nginx closes
            assert isinstance(sender.send(image), Sent)
        assert (sender.facts().losses, sender.facts().retries) == (0, 0)
        assert wait_for(lambda: len(proxy.requests) >= 12)
        assert len({connection for connection, _ in proxy.requests}) > 1
    assert len(web_orthanc.ids()) == 12


def test_a_limit_of_connections_costs_no_image(
    tmp_path: Path, web_orthanc: DicomWebOrthanc
) -> None:
    """If nginx serves one request at a time, all images are sent over one connection."""
    for number in range(40):
        (tmp_path / f"{number}.dcm").write_bytes(encoded(made(number)))
    with Nginx(web_orthanc.http_port, "limit_conn one 1;", zones=ONE_IMAGE_AT_A_TIME) as proxy:
        result = send(tmp_path, proxy.url, "--no-reports", "-j", "4", cwd=tmp_path)
        assert "503" in {status for _, status in proxy.requests}
    assert result.exit_code == 0, result.stderr
    assert len(web_orthanc.ids()) == 40


def test_a_limit_of_requests_costs_no_image() -> None:
    """Images over the limit are resent after each pause."""
    zones = "limit_req_zone $server_port zone=one:1m rate=20r/s;"
    with (
        WebServer(serve) as server,
        Nginx(server.port, "limit_req zone=one;", zones=zones) as proxy,
        web_sender(proxy.url, policy=PATIENT) as sender,
    ):
        results = [sender.send(image) for image in IMAGES]
        assert wait_for(lambda: "503" in {status for _, status in proxy.requests})
    assert {type(one) for one in results} == {Sent}
    assert sender.facts().retries > 0
    assert len(server.stored) == len(IMAGES)


def test_a_limit_of_requests_does_not_fail_the_check(web_orthanc: DicomWebOrthanc) -> None:
    """The second request of the check is over the limit, and is retried alone."""
    zones = "limit_req_zone $server_port zone=one:1m rate=5r/s;"
    with (
        Nginx(web_orthanc.http_port, "limit_req zone=one;", zones=zones) as proxy,
        web_sender(proxy.url, policy=PATIENT, retry_time=5) as sender,
    ):
        sender.check()
        assert isinstance(sender.send(IMAGES[0]), Sent | Suspect)
        assert wait_for(lambda: len(proxy.requests) >= 3)
        statuses = [status for _, status in proxy.requests]
    assert statuses[0] == "200"
    assert "503" in statuses


def test_a_slow_server_behind_nginx_is_busy() -> None:
    """After 504 the image is put aside, and the next one is sent."""

    def slow(peer: WebPeer) -> None:
        peer.read()
        peer.receive()

    with (
        WebServer(slow, serve) as server,
        Nginx(server.port, "proxy_read_timeout 200ms;") as proxy,
    ):
        first, second = send_once(proxy.url, *IMAGES[:2])
    assert isinstance(first, Suspect)
    assert isinstance(first.failure, NotSent)
    assert first.failure.reason.kind is Kind.OUT_OF_RESOURCES
    assert first.failure.reason.status == "HTTP 504"
    assert isinstance(second, Sent)


def test_nginx_ends_tls(tmp_path: Path, web_orthanc: DicomWebOrthanc) -> None:
    """Images arrive over TLS; an untrusted certificate, or plain HTTP, fails the check."""
    identity, other = issue(tmp_path / "server"), issue(tmp_path / "other")
    with Nginx(web_orthanc.http_port, identity=identity) as proxy:
        with web_sender(proxy.url, transport=secure(identity)) as sender:
            sender.check()
            assert isinstance(sender.send(IMAGES[0]), Sent)
        with web_sender(proxy.url, transport=secure(other)) as sender, pytest.raises(ServerError):
            sender.check()
        plain = proxy.url.replace("https", "http")
        with web_sender(plain) as sender, pytest.raises(ServerError, match="http or https"):
            sender.check()
    assert len(web_orthanc.ids()) == 1


def test_chunked_answers_are_read(web_orthanc: DicomWebOrthanc) -> None:
    """An answer without a length names its image, and nothing is compressed."""
    settings = "ssi on; ssi_types application/dicom+json; gzip on; gzip_min_length 1;"
    settings += "gzip_types application/dicom+json;"
    with Nginx(web_orthanc.http_port, settings) as proxy, web_sender(proxy.url) as sender:
        sender.check()
        assert isinstance(sender.send(IMAGES[0]), Sent)
        uids = IMAGES[0].study_instance_uid, IMAGES[0].series_instance_uid
        assert sender.finder().present(*uids) == {IMAGES[0].sop_instance_uid}
