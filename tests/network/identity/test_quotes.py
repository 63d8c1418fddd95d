"""No text of a server quotes the user identity."""

import logging
from base64 import b64encode

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.identity import WITHHELD, without_identity
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import IdentityType, UserIdentity
from fw_gear_dicom_send.values import replace
from tests.support.associations import CONTEXTS
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance
from tests.support.pdus import C_STORE_RSP, NO_DATASET, element
from tests.support.peers import peer_of
from tests.support.waiting import LONG_TIMEOUTS

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZW5kZXIifQ.c2lnbmF0dXJl"
NAME_AND_PASSCODE = UserIdentity(
    IdentityType.USERNAME_AND_PASSCODE, b"WARD\\anna.berg@site.org", "zü9!k-Qx".encode()
)
JWT = UserIdentity(IdentityType.JWT, TOKEN.encode())
TICKET = UserIdentity(IdentityType.KERBEROS, bytes(range(128, 192)))
SIGNS = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"pacs", b"P@1!x#9")
WORDY = UserIdentity(IdentityType.SAML, b"<Subject>disk to full</Subject>")
SHORT_NAME = UserIdentity(IdentityType.USERNAME, b"bob")
NOT_ASCII = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"pacs", "Ägypten".encode())


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (NAME_AND_PASSCODE, "user WARD\\anna.berg@site.org is not known"),
        (NAME_AND_PASSCODE, "unknown user: ANNA BERG"),
        (NAME_AND_PASSCODE, "wrong password zü9!k-Qx"),
        (NAME_AND_PASSCODE, "wrong password ZU9!K-QX"),
        (JWT, f"invalid token {TOKEN[:20]}..."),
        (JWT, f"signature {TOKEN[-12:]} does not match"),
        (TICKET, f"ticket {TICKET.primary.hex()[:16]}"),
        (TICKET, f"ticket {b64encode(TICKET.primary).decode()[4:20]}"),
        (SHORT_NAME, "no rights for bob"),
        (SIGNS, "bad password P@1!x#9"),
        (SIGNS, "bad password p@1! x#9"),
    ],
)
def test_a_quote_is_withheld(identity: UserIdentity, text: str) -> None:
    """Words and parts of names, passcodes, tokens and tickets count in common encodings."""
    assert without_identity(text, identity) == WITHHELD


@pytest.mark.parametrize("identity", [NAME_AND_PASSCODE, JWT, TICKET, WORDY, SHORT_NAME, None])
@pytest.mark.parametrize("text", ["", "STORESCP_368", "1.2.276.0.7230010.3.0.3.6.8", "no disk"])
def test_other_texts_are_kept(identity: UserIdentity | None, text: str) -> None:
    """They help to find the cause of a refusal."""
    assert without_identity(text, identity) == text


def test_neither_result_nor_log_quotes_the_identity(caplog: pytest.LogCaptureFixture) -> None:
    """A server may quote it in an error comment, and in its implementation version name."""
    caplog.set_level(logging.DEBUG)

    def script(peer: Peer) -> None:
        peer.accept(implementation=b"FOR anna.berg")
        image = peer.read_image()
        response = (
            element(0x0100, C_STORE_RSP)
            + element(0x0120, image.message_id)
            + element(0x0800, NO_DATASET)
            + element(0x0900, 0xC000)
            + element(0x0902, b"anna.berg may not store")
        )
        peer.socket.sendall(peer.message(response))
        peer.read_to_end()

    with FaultSCP(script) as server:
        peer_ae = replace(peer_of(server), identity=NAME_AND_PASSCODE)
        assoc = StorageAssociation(peer_ae, CONTEXTS, Transport(timeouts=LONG_TIMEOUTS))
        assoc.open()
        response = assoc.send_c_store(made_instance(), CONTEXTS[0])
        assoc.release()
    assert (assoc.implementation, response.error_comment) == (WITHHELD, WITHHELD)
    assert "berg" not in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_name_is_checked_in_each_encoding(encoding: str) -> None:
    """An implementation version name has no character set."""

    def script(peer: Peer) -> None:
        peer.accept(implementation="Ägypten".encode(encoding))
        peer.read_to_end()

    with FaultSCP(script) as server:
        peer_ae = replace(peer_of(server), identity=NOT_ASCII)
        assoc = StorageAssociation(peer_ae, CONTEXTS, Transport(timeouts=LONG_TIMEOUTS))
        assoc.open()
        assoc.release()
    assert assoc.implementation == WITHHELD
