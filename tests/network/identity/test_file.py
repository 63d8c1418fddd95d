"""Valid content of a file with a user identity, which is never quoted."""

import base64
import json
import traceback
from pathlib import Path

import pytest

from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.network.identity import ALLOWED, MAX_FILE, MAX_IDENTITY, read
from fw_gear_dicom_send.network.types import IdentityType, PeerAE, UserIdentity
from tests.support import wording

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("content", "identity"),
    [
        ({"username": "José"}, UserIdentity(IdentityType.USERNAME, "José".encode())),
        (
            {"password": SECRET, "username": "alice"},
            UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", SECRET.encode()),
        ),
        ({"jwt": "a.b.c"}, UserIdentity(IdentityType.JWT, b"a.b.c")),
        ({"saml": "<saml:Assertion/>"}, UserIdentity(IdentityType.SAML, b"<saml:Assertion/>")),
        ({"kerberos": "AP8A\nAQ=="}, UserIdentity(IdentityType.KERBEROS, b"\x00\xff\x00\x01")),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_each_kind_is_read(
    tmp_path: Path, content: dict[str, str], identity: UserIdentity, encoding: str
) -> None:
    """A file has one identity in UTF-8; a ticket is Base64, with or without line breaks."""
    path = tmp_path / "identity.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding=encoding)
    assert read(path) == identity


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hunter2",
        b'{"username": "hunter2"',
        b'{"username": "hunter2", "username": "b"}',
        b'{"username": "a", "hunter2": "b"}',
        b'{"password": "hunter2"}',
        b'{"jwt": "hunter2", "username": "a"}',
        b'{"username": "", "password": "hunter2"}',
        b'{"username": "a", "password": 7}',
        b'["hunter2"]',
        b'{"kerberos": "hunter2!a"}',
        b'{"username": "\\ud800hunter2"}',
        b'{"username": "hunter2\xff"}',
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(b'{"username": ' + b"9" * 5000 + b"}", id="number"),
        pytest.param(json.dumps({"saml": "x" * (MAX_IDENTITY + 1)}).encode(), id="long"),
        pytest.param(
            json.dumps({"username": "x" * MAX_IDENTITY, "password": "y"}).encode(), id="both"
        ),
        pytest.param(b'{"username": "hunter2"}' + b" " * MAX_FILE, id="spaces"),
    ],
)
def test_an_invalid_file_is_rejected_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    """The error names the file and the valid content; no traceback quotes the file."""
    path = tmp_path / "who.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value) == f"identity: 'who.json' {wording.ALLOWED}: {ALLOWED}"
    assert caught.value.__context__ is None
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_identity_of_maximum_length_is_read(tmp_path: Path) -> None:
    """The limit is in bytes and for both fields together."""
    path = tmp_path / "identity.json"
    path.write_text(json.dumps({"username": "é" * 10, "password": "x" * (MAX_IDENTITY - 20)}))
    assert len(read(path).secondary) == MAX_IDENTITY - 20
    ticket = base64.b64encode(bytes(MAX_IDENTITY)).decode()
    path.write_text(json.dumps({"kerberos": ticket}))
    assert read(path).primary == bytes(MAX_IDENTITY)


def test_an_identity_is_not_shown() -> None:
    """The printed forms of identity and server show neither user name nor passcode."""
    identity = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", SECRET.encode())
    peer = PeerAE("pacs", 104, "A", "B", identity)
    assert repr(peer) == repr(PeerAE("pacs", 104, "A", "B"))
    shown = repr(identity)
    assert "alice" not in shown
    assert SECRET not in shown
