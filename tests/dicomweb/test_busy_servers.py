"""A server that refuses for a while, or for good, gets what it asks for."""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fw_gear_dicom_send.delivery.results import AlreadyStored, NotSent, Sent, StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from fw_gear_dicom_send.dicomweb import credentials
from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.option_values import ConversionMode, OnConflict
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.clock import Clock
from tests.support.instances import made_instance
from tests.support.web_sending import send_once, web_sender
from tests.support.web_server import WebPeer, WebServer, answer, answering, failed, serve

IMAGE = made_instance()
UID = IMAGE.sop_instance_uid


def kind_of(result: StoreResult | Suspect) -> Kind:
    failure = result.failure if isinstance(result, Suspect) else result
    assert isinstance(failure, NotSent)
    return failure.reason.kind


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_busy_server_gets_a_wait_and_half_the_connections(status: int) -> None:
    """All connections wait as long as the server says, and then half as many are used."""
    clock = Clock()
    policy = RetryPolicy(min_wait=1, max_wait=2, clock=clock)
    with (
        WebServer(answering(status, Retry_After="40")) as server,
        web_sender(server.url, connections=4, policy=policy) as sender,
    ):
        began, first = clock.now(), sender.send(IMAGE)
        second = sender.send(made_instance(2))
        assert 40 <= clock.now() - began < 45
    assert isinstance(first, Suspect if status in (502, 504) else Sent)
    assert isinstance(second, Sent)


def test_a_wait_is_bounded_by_the_retry_time() -> None:
    """A server that asks for a wait of a day gets the retry time."""
    clock = Clock()
    policy = RetryPolicy(min_wait=1, max_wait=2, clock=clock)
    with (
        WebServer(answering(503, Retry_After="86400")) as server,
        web_sender(server.url, retry_time=100, policy=policy) as sender,
    ):
        sender.send(IMAGE)
        assert isinstance(sender.send(made_instance(2)), Sent)
        assert max(clock.waits) == 100


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_end_the_run(status: int) -> None:
    """Without another token, no more images are sent."""
    with WebServer(answering(*[status] * 9)) as server, web_sender(server.url) as sender:
        results = [sender.send(made_instance(number)) for number in range(3)]
        given_up = sender.facts().given_up
    assert [kind_of(one) for one in results] == [Kind.NOT_AUTHORIZED] * 3
    assert given_up
    assert given_up.kind is Kind.NOT_AUTHORIZED
    assert len(server.stored) == 1


def token_server(*lifetimes: int, status: int = 200) -> Callable[[WebPeer], None]:
    """Return a script that gives tokens 1, 2... with these lifetimes, in seconds."""
    rest = list(lifetimes)

    def script(peer: WebPeer) -> None:
        peer.read()
        number = len(lifetimes) - len(rest) + 1
        found = {"access_token": f"token-{number}", "expires_in": rest.pop(0)}
        peer.reply(status, json.dumps(found).encode())

    return script


def client(server: WebServer) -> credentials.Credentials:
    url = f"http://127.0.0.1:{server.port}/o/token/"
    form = {"client_id": "me", "client_secret": "hidden-word", "scope": "store"}
    return credentials.parsed({"token_url": url, **form})


def accepting(*tokens: str) -> Callable[[WebPeer], None]:
    """Return a script that accepts these tokens only."""

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.headers.get("authorization") in [f"Bearer {token}" for token in tokens]:
                answer(peer, request)
            else:
                peer.reply(401)

    return script


def test_a_token_is_requested_once() -> None:
    """All requests have the token, and the form has the client's words."""
    with WebServer(token_server(3600)) as tokens, WebServer(accepting("token-1")) as server:
        results = send_once(server.url, IMAGE, made_instance(2), credentials=client(tokens))
    assert [type(one) for one in results] == [Sent, Sent]
    (request,) = tokens.requests
    assert (request.method, request.target) == ("POST", "/o/token/")
    assert request.body.decode() == (
        "client_id=me&client_secret=hidden-word&scope=store&grant_type=client_credentials"
    )


def test_an_expired_token_is_replaced() -> None:
    """A token without remaining time is replaced before the next request."""
    with (
        WebServer(token_server(0, 3600)) as tokens,
        WebServer(accepting("token-1", "token-2")) as server,
    ):
        results = send_once(server.url, IMAGE, made_instance(2), credentials=client(tokens))
    assert [type(one) for one in results] == [Sent, Sent]
    assert [one.headers["authorization"] for one in server.requests] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_a_refused_token_is_replaced_once() -> None:
    """A token that the server has withdrawn is replaced; a second refusal ends the run."""
    for accepted, kind in (("token-2", None), ("token-9", Kind.NOT_AUTHORIZED)):
        with (
            WebServer(token_server(3600, 3600, 3600)) as tokens,
            WebServer(accepting(accepted)) as server,
        ):
            (result,) = send_once(server.url, IMAGE, credentials=client(tokens))
        assert len(tokens.requests) == 2
        assert isinstance(result, Sent) if kind is None else kind_of(result) is kind


def test_threads_share_the_new_token() -> None:
    """If the server refuses the token of several requests at once, one new token is requested."""
    together = threading.Barrier(4, timeout=30)

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.headers["authorization"] == "Bearer token-1":
                together.wait()
                peer.reply(401)
            else:
                answer(peer, request)

    images = [
        made_instance(number, StudyInstanceUID=f"1.2.{number}", PatientID=f"{number}")
        for number in range(4)
    ]
    with (
        WebServer(token_server(3600, 3600)) as tokens,
        WebServer(script) as server,
        web_sender(server.url, connections=4, credentials=client(tokens)) as sender,
        ThreadPoolExecutor(4) as threads,
    ):
        results = list(threads.map(sender.send, images))
    assert [type(one) for one in results] == [Sent] * 4
    assert len(tokens.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 302])
def test_without_a_token_nothing_is_sent(status: int) -> None:
    """A refusal of the authorization server ends the run; it names no secret."""
    with WebServer(token_server(3600, status=status)) as tokens, WebServer(serve) as server:
        (result,) = send_once(server.url, IMAGE, credentials=client(tokens))
    assert isinstance(result, NotSent)
    assert result.reason.kind is Kind.NOT_AUTHORIZED
    assert "hidden" not in repr(result)
    assert server.requests == []


def test_an_answer_with_a_secret_is_withheld() -> None:
    """A server that quotes the token or the password appears in no result."""
    token = credentials.FixedHeaders(
        (("Authorization", "Bearer abcd-efgh-ijkl"),), ("abcd-efgh-ijkl",)
    )
    page = b"<title>Invalid token abcd-efgh-ijkl</title>"
    with WebServer(answering((400, page))) as server:
        (result,) = send_once(server.url, IMAGE, credentials=token)
    assert "abcd" not in repr(result)
    assert "withheld" in repr(result)


def test_a_service_account_signs_its_requests() -> None:
    """The assertion is a JSON Web Token with RS256 and the claims that Google requires."""
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    url = "https://oauth2.example/token"
    file = {"token_uri": url, "client_email": "me@example", "private_key": pem}
    account = credentials.parsed({"type": "service_account", "private_key_id": "7", **file})
    assert isinstance(account, credentials.TokenSource)
    header, claims, signature = account.form()["assertion"].split(".")

    def decoded(part: str) -> bytes:
        return b64decode(part.replace("-", "+").replace("_", "/") + "==")

    assert json.loads(decoded(header)) == {"alg": "RS256", "typ": "JWT", "kid": "7"}
    found = json.loads(decoded(claims))
    assert (found["iss"], found["aud"]) == ("me@example", url)
    assert (found["exp"] - found["iat"], abs(found["iat"] - time.time()) < 100) == (3600, True)
    signed = f"{header}.{claims}".encode()
    key.public_key().verify(decoded(signature), signed, PKCS1v15(), SHA256())


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ('{"username": "me", "password": "wörd"}', (("Authorization", "Basic bWU6d8O2cmQ="),)),
        ('{"token": " abc "}', (("Authorization", "Bearer abc"),)),
        ('{"headers": {"X-Api-Key": "k"}}', (("X-Api-Key", "k"),)),
    ],
)
def test_credentials_become_header_fields(
    tmp_path: Path, text: str, headers: tuple[tuple[str, str], ...]
) -> None:
    """User and password, a token, and header fields are sent as such."""
    file = tmp_path / "authorization.json"
    file.write_text(text, encoding="utf-8")
    found = credentials.read(file)
    assert isinstance(found, credentials.FixedHeaders)
    assert found.headers == headers
    assert "abc" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "{", '{"token": ""}', '{"token": 7}', '{"token": "a\\nb"}',
        '{"token": "a", "username": "b"}', '{"username": "a"}', '{"headers": {}}',
        '{"headers": {"Host": "a"}}', '{"headers": {"a b": "c"}}', '{"headers": ["a"]}',
        '{"token_url": "http://a/b", "client_id": "c", "client_secret": "hidden"}',
        '{"token_url": "https://a/b", "client_id": "c", "client_secret": "hidden", "other": "d"}',
        '{"token_url": "nowhere", "client_id": "c", "client_secret": "hidden"}',
        '{"type": "service_account", "client_email": "a"}',
        '{"type": "service_account", "token_uri": "https://a", "client_email": "a", '
        '"private_key": "hidden"}',
    ],
)  # fmt: skip
def test_invalid_credentials_are_refused(tmp_path: Path, text: str) -> None:
    """An invalid file is a configuration error that quotes none of it."""
    file = tmp_path / "authorization.json"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        credentials.read(file)
    assert "hidden" not in str(error.value)
    assert error.value.__cause__ is None


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    """The key of a service account is an RSA key, as Google accepts no other signature."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    url = {"token_uri": "https://a", "client_email": "me@example", "private_key": pem}
    file = tmp_path / "authorization.json"
    file.write_text(json.dumps({"type": "service_account", **url}))
    with pytest.raises(ConfigError):
        credentials.read(file)


def converting(instance: SOPInstance, syntax: str) -> SOPInstance:
    """Return the image with the label of another transfer syntax."""
    return made_instance(7) if syntax == EXPLICIT_VR_LITTLE_ENDIAN else instance


@pytest.mark.parametrize("refusal", [(415, b""), (409, failed(UID, 0xC122))], ids=["415", "C122"])
def test_a_refused_transfer_syntax_is_converted_once(refusal: tuple[int, bytes]) -> None:
    """The original goes first; after a refusal, later images of the kind are converted at once."""
    images = [made_instance(1), made_instance(1)]
    for image in images:
        object.__setattr__(image, "transfer_syntax_uid", "1.2.840.10008.1.2.4.70")
    with WebServer(answering(refusal)) as server:
        results = send_once(server.url, *images, convert=converting)
    assert [type(one) for one in results] == [Sent, Sent]
    assert len(server.stored) == 3
    for result in results:
        assert isinstance(result, Sent)
        assert [reason.kind for reason in result.remarks] == [Kind.CONVERTED]
        assert result.transfer.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN


def test_without_conversion_a_refused_transfer_syntax_fails() -> None:
    """With `never`, images of the kind fail, the later ones without a request."""
    images = [made_instance(1), made_instance(2)]
    with WebServer(answering(415, 415)) as server:
        results = send_once(server.url, *images, conversion=ConversionMode.NEVER)
    assert [kind_of(one) for one in results] == [Kind.NOT_ACCEPTED] * 2
    assert len(server.stored) == 1


def test_an_existing_image_counts_as_already_stored() -> None:
    """Azure's answer for an existing image is no failure."""
    with WebServer(answering((409, failed(UID, 45070)))) as server:
        (result,) = send_once(server.url, IMAGE)
    assert isinstance(result, AlreadyStored)


GOOGLE = failed(UID, 272, **{"00091097": {"vr": "LO", "Value": ["ALREADY_EXISTS"]}})
INVALID = failed(UID, 272, **{"00091097": {"vr": "LO", "Value": ["invalid"]}})


def conflicting(body: bytes, *, deletes: int = 200) -> Callable[[WebPeer], None]:
    """Return a script that answers the first POST with a conflict, and stores after that."""
    rest = [body]

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.method == "DELETE":
                peer.reply(deletes)
            elif request.method == "POST" and rest:
                peer.reply(409, rest.pop())
            else:
                answer(peer, request)

    return script


@pytest.mark.parametrize(
    ("body", "methods"),
    [(failed(UID, 45070), ["POST", "PUT"]), (GOOGLE, ["POST", "DELETE", "POST"])],
    ids=["Azure", "Google"],
)
def test_an_existing_image_is_replaced_on_request(body: bytes, methods: list[str]) -> None:
    """With `replace`, the existing image is replaced as the server allows it, with a remark."""
    with WebServer(conflicting(body)) as server:
        (result,) = send_once(server.url, IMAGE, on_conflict=OnConflict.REPLACE)
    assert isinstance(result, Sent)
    assert [reason.kind for reason in result.remarks] == [Kind.OVERWRITTEN]
    assert [one.method for one in server.requests] == methods
    if "DELETE" in methods:
        uids = (IMAGE.study_instance_uid, IMAGE.series_instance_uid, UID)
        path = "/dicom-web/studies/{}/series/{}/instances/{}".format(*uids)
        assert server.requests[1].target == path


@pytest.mark.parametrize(
    ("body", "choice"),
    [(GOOGLE, OnConflict.REPORT), (INVALID, OnConflict.REPLACE), (INVALID, OnConflict.REPORT)],
)
def test_no_image_is_deleted_without_need(body: bytes, choice: OnConflict) -> None:
    """Without the option, or for another failure, nothing is deleted."""
    with WebServer(conflicting(body)) as server:
        (result,) = send_once(server.url, IMAGE, on_conflict=choice)
    assert not isinstance(result, Sent)
    assert [one.method for one in server.requests] == ["POST"]


def test_an_image_that_cannot_be_deleted_stays() -> None:
    """A refused DELETE leaves the conflict as the result."""
    with WebServer(conflicting(GOOGLE, deletes=403)) as server:
        (result,) = send_once(server.url, IMAGE, on_conflict=OnConflict.REPLACE)
    assert isinstance(result, NotSent)
    assert result.reason.kind is Kind.REFUSED
    assert [one.method for one in server.requests] == ["POST", "DELETE"]
