"""User identity in an association request and in the response (PS3.7 D.3.3.7)."""

import pytest
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_items import UserIdentitySubItemRQ

from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.identity import MAX_IDENTITY
from fw_gear_dicom_send.network.protocol import Accepted, Protocol
from fw_gear_dicom_send.network.types import IdentityType, UserIdentity
from fw_gear_dicom_send.values import replace
from tests.support.pdus import accepted_context, associate_ac, item, user_information

from .conftest import CT, EXPLICIT, PEER

PASSCODE = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"hunter2")


def requested_by(identity: UserIdentity | None, contexts: int = 1) -> A_ASSOCIATE_RQ:
    """Return the request with an identity, decoded by pynetdicom."""
    proposed = tuple(Context(f"1.2.{n}", EXPLICIT) for n in range(contexts))
    request = A_ASSOCIATE_RQ()
    request.decode(Protocol(replace(PEER, identity=identity), proposed).request())
    return request


def sub_item(request: A_ASSOCIATE_RQ) -> UserIdentitySubItemRQ:
    """Return the only sub-item with an identity."""
    (found,) = (
        one for one in request.user_information.user_data if isinstance(one, UserIdentitySubItemRQ)
    )
    return found


@pytest.mark.parametrize("kind", IdentityType)
def test_the_request_has_the_identity(kind: IdentityType) -> None:
    """Each type has its number, and requests a response if it can be verified."""
    secondary = b"hunter2" if kind is IdentityType.USERNAME_AND_PASSCODE else b""
    found = sub_item(requested_by(UserIdentity(kind, b"\x00\xffalice", secondary)))
    assert found.user_identity_type == kind
    assert found.primary_field == b"\x00\xffalice"
    assert found.secondary_field == secondary
    assert bool(found.positive_response_requested) is (kind is not IdentityType.USERNAME)


def test_an_identity_of_maximum_length_fits() -> None:
    """It fits together with the maximum number of contexts."""
    identity = UserIdentity(IdentityType.SAML, b"x" * MAX_IDENTITY)
    request = requested_by(identity, contexts=128)
    assert sub_item(request).primary_field == identity.primary
    assert len(request.presentation_context) == 128


def test_without_an_identity_there_is_no_sub_item() -> None:
    """Without an identity the request is unchanged."""
    kinds = [type(one).__name__ for one in requested_by(None).user_information.user_data]
    assert "UserIdentitySubItemRQ" not in kinds


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"\0\0", id="empty"),
        pytest.param(b"\0\5abcde", id="text"),
        pytest.param(b"", id="none"),
        pytest.param(b"\xff", id="half a length"),
        pytest.param(b"\xff\xff", id="cut off"),
        pytest.param(b"\0\1abcdef", id="too long"),
        pytest.param(bytes(60_000), id="huge"),
    ],
)
def test_any_response_is_a_confirmation(response: bytes) -> None:
    """Its content is for other types of identity, and may be wrong."""
    protocol = Protocol(replace(PEER, identity=PASSCODE), (Context(CT, EXPLICIT),))
    protocol.request()
    answer = associate_ac(
        accepted_context(1, EXPLICIT.encode()), user_information(item(0x59, response))
    )
    (event,) = protocol.receive(answer)
    assert isinstance(event, Accepted)
    assert event.confirms_identity is True
    assert event.contexts == {1: Context(CT, EXPLICIT)}
