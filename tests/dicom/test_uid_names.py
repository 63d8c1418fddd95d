"""Names of UIDs."""

import pytest
from pydicom.uid import UID
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts  # type: ignore[attr-defined]

from fw_gear_dicom_send.dicom.uids import NAMES, name_of


def test_names_agree_with_pydicom() -> None:
    """Every name that pydicom knows is spelled the same."""
    others = {uid: UID(uid).name for uid, name in NAMES.items() if UID(uid).name != name}
    assert all(uid == name for uid, name in others.items())


def test_everything_that_pynetdicom_proposes_has_a_name() -> None:
    """Each storage SOP class and each transfer syntax of a run has a name."""
    classes = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    assert classes | set(ALL_TRANSFER_SYNTAXES) <= NAMES.keys()


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "CT Image Storage"),
        ("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000 Image Compression"),
        ("1.2.840.10008.1.1", "Verification SOP Class"),
        ("1.2.3.4", "1.2.3.4"),
    ],
)
def test_a_uid_without_a_name_is_shown_itself(uid: str, name: str) -> None:
    """Other UIDs have the name from the standard."""
    assert name_of(uid) == name
