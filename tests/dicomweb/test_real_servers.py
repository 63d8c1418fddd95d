"""Images arrive at Orthanc with its DICOMweb plugin, also through nginx."""

import pytest
import requests

from fw_gear_dicom_send.delivery.results import ImageReference, NotSent, Sent, StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicomweb.credentials import FixedHeaders
from fw_gear_dicom_send.dicomweb.request import file_start
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.reasons import Kind
from tests.support.instances import big_instance, instance, made_instance, relabelled
from tests.support.pacs import DicomWebOrthanc, Nginx
from tests.support.sample_files import encoded, made
from tests.support.web_sending import send_once, web_sender

IMAGES = [made_instance(number) for number in range(12)]


def reference(image: SOPInstance, *, crc32: int | None = None) -> ImageReference:
    return ImageReference(
        image.sop_class_uid,
        image.sop_instance_uid,
        image.study_instance_uid,
        image.series_instance_uid,
        image.transfer_syntax_uid,
        image.dataset.crc32() if crc32 is None else crc32,
    )


def types(results: list[StoreResult | Suspect]) -> list[type]:
    return [type(result) for result in results]


def test_files_arrive_byte_for_byte(web_orthanc: DicomWebOrthanc) -> None:
    """Orthanc has the files as they were sent, with their file meta information."""
    assert types(send_once(web_orthanc.url, *IMAGES)) == [Sent] * 12
    assert web_orthanc.instances() == {
        image.sop_instance_uid: file_start(image) + b"".join(image.dataset.blocks())
        for image in IMAGES
    }


def test_the_server_is_asked_for_images(web_orthanc: DicomWebOrthanc) -> None:
    """Queries and contents show which images the server has, and which it has not."""
    sent, missing = IMAGES[:8], IMAGES[8:]
    with web_sender(web_orthanc.url) as sender:
        sender.check()
        for image in sent:
            sender.send(image)
        first = sent[0]
        series = first.study_instance_uid, first.series_instance_uid
        assert sender.finder().present(*series) == {one.sop_instance_uid for one in sent}
        assert sender.finder().present("1.2.3", "4.5.6") == frozenset()
        for method in ("find", "content"):
            found = sender.inquirer(method).verify([reference(one) for one in IMAGES])
            assert found.verified == {one.sop_instance_uid for one in sent}
            assert found.absent == {one.sop_instance_uid for one in missing}
            assert found.unknown == {}


def test_another_content_is_not_verified(web_orthanc: DicomWebOrthanc) -> None:
    """An image whose dataset has another CRC-32 is neither verified nor absent."""
    image = instance(encoded(made(1, pixels=1 << 10)))
    with web_sender(web_orthanc.url) as sender:
        assert isinstance(sender.send(image), Sent)
        sender.check()
        inquirer = sender.inquirer("content")
        assert inquirer.verify([reference(image)]).verified == {image.sop_instance_uid}
        found = inquirer.verify([reference(image, crc32=7)])
    assert found.unknown[image.sop_instance_uid].kind is Kind.CONTENT_DIFFERS


def test_a_refused_image_costs_only_itself(web_orthanc: DicomWebOrthanc) -> None:
    """Orthanc answers 400 for a broken file; images after it are sent over the connection."""
    broken = relabelled(
        9, sop_class="1.2.840.10008.5.1.4.1.1.2", transfer_syntax="1.2.840.10008.1.2"
    )
    results = send_once(web_orthanc.url, broken, IMAGES[0])
    assert not isinstance(results[0], Sent)
    assert isinstance(results[1], Sent)


def test_nginx_limits_bodies(web_orthanc: DicomWebOrthanc) -> None:
    """An image over the limit of a proxy fails alone, with the title of its page."""
    with Nginx(web_orthanc.http_port) as proxy:
        results = send_once(proxy.url, big_instance(3 << 20), IMAGES[0])
    assert types(results) == [NotSent, Sent]
    assert isinstance(results[0], NotSent)
    assert results[0].reason.kind is Kind.TOO_LARGE_FOR_SERVER
    assert "413 Request Entity Too Large" in results[0].reason.text


def test_nginx_limits_requests_of_a_connection(web_orthanc: DicomWebOrthanc) -> None:
    """A connection that ends after a few requests loses no image."""
    with (
        Nginx(web_orthanc.http_port, "keepalive_requests 3;") as proxy,
        web_sender(proxy.url) as sender,
    ):
        assert types([sender.send(image) for image in IMAGES]) == [Sent] * 12
        assert (sender.facts().losses, sender.facts().retries) == (0, 0)


def test_nginx_asks_for_a_password(web_orthanc: DicomWebOrthanc) -> None:
    """With the password the check passes; without it, the error names the missing credentials."""
    basic = 'auth_basic "images"; auth_basic_user_file FOLDER/users;'
    known = FixedHeaders((("Authorization", "Basic bWU6d29yZA=="),), ("me:word", "word"))
    with Nginx(web_orthanc.http_port, basic, {"users": "me:{PLAIN}word\n"}) as proxy:
        with web_sender(proxy.url, credentials=known) as sender:
            sender.check()
            assert isinstance(sender.send(IMAGES[0]), Sent)
        with web_sender(proxy.url) as sender, pytest.raises(ServerError, match="credentials"):
            sender.check()


def test_the_check_names_a_wrong_base(web_orthanc: DicomWebOrthanc) -> None:
    """Without a DICOMweb service at the path, the check fails; with one, it stores nothing."""
    with web_sender(web_orthanc.url) as sender:
        sender.check()
    wrong = web_orthanc.url.removesuffix("dicom-web") + "wado"
    with web_sender(wrong) as sender, pytest.raises(ServerError, match="path of the URL"):
        sender.check()
    assert web_orthanc.ids() == {}


def test_a_proxy_of_the_environment_is_used(
    web_orthanc: DicomWebOrthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests go to the proxy with the whole URL, unless no_proxy names the server."""
    settings = 'if ($http_proxy_authorization != "Basic bWU6d29yZA==") { return 407; }'
    with Nginx(web_orthanc.http_port, settings) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:word@127.0.0.1:{proxy.port}")
        url = "http://nowhere.invalid/dicom-web"
        assert types(send_once(url, IMAGES[0])) == [Sent]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert types(send_once(web_orthanc.url, IMAGES[1])) == [Sent]
    assert len(web_orthanc.ids()) == 2
    assert requests.get(web_orthanc.url + "/studies", timeout=10).status_code == 200
