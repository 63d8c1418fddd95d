"""UIDs of a stamped image, and values that must not be quoted."""

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance
from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT, Wire, each_wire
from tests.support.sample_files import encoded, made, shipped
from tests.support.stamping import each_group, refused, stamped


def test_uids_come_from_the_dataset(tmp_path: Path) -> None:
    """The SOP UIDs are read from the dataset, whatever the file meta group has."""
    uids = [
        raw.text(raw.SOP_CLASS, "1.2.840.10008.5.1.4.1.1.4", EXPLICIT, "UI"),
        raw.text(raw.SOP_INSTANCE, "1.2.3.4.5", EXPLICIT, "UI"),
    ]
    instance = stamped(raw.part10(raw.joined(uids), EXPLICIT.uid), tmp_path)
    assert instance.sop_class_uid == "1.2.840.10008.5.1.4.1.1.4"
    assert instance.sop_instance_uid == "1.2.3.4.5"


@each_wire
def test_study_and_series_are_named(wire: Wire, tmp_path: Path) -> None:
    """They are read beyond the added element, and are empty if missing."""
    others = {0x0020000D: "1.2.3.1", 0x0020000E: "1.2.3.2", 0x00200052: "1.2.3.3"}
    elements = [*raw.uids(wire), *(raw.text(tag, uid, wire, "UI") for tag, uid in others.items())]
    for tag in (None, PrivateTag(0x0009, "Flywheel", "DICOM send")):
        instance = stamp(BytesIO(raw.part10(raw.joined(elements), wire.uid)), tag, tmp_path)
        assert isinstance(instance, SOPInstance)
        assert (instance.study_instance_uid, instance.series_instance_uid) == ("1.2.3.1", "1.2.3.2")
    without = stamped(raw.part10(raw.joined(raw.uids(wire)), wire.uid), tmp_path)
    assert (without.study_instance_uid, without.series_instance_uid) == ("", "")


@each_wire
def test_the_patient_is_a_hash(wire: Wire, tmp_path: Path) -> None:
    """Equal Patient IDs have equal hashes, with any padding. There is none without one."""
    tags = (None, PrivateTag(0x0009, "Flywheel", "DICOM send"))

    def patients(value: str | None) -> set[int]:
        elements = raw.uids(wire)
        if value is not None:
            elements = [*elements, raw.text(0x00100020, value, wire, "LO")]
        content = raw.part10(raw.joined(elements), wire.uid)
        instances = [stamp(BytesIO(content), tag, tmp_path) for tag in tags]
        return {one.patient for one in instances if isinstance(one, SOPInstance)}

    assert patients("4711") == patients("4711  ")
    assert len(patients("4711") | patients("4712") | {0}) == 3
    assert patients(None) == patients("  ") == {0}


BAD_UIDS = {
    "missing": None,
    "empty": "",
    "blank": "  ",
    "too long": "1." * 32 + "1",
    "far too long": "1." * 100000,
    "not ASCII": "1.2.3.é",
    "not printable": "1.2\n.3",
    "NUL within": "1.2\0.3",
}


@each_wire
@pytest.mark.parametrize("uid", BAD_UIDS.values(), ids=list(BAD_UIDS))
@pytest.mark.parametrize("name", ["SOP Class UID", "SOP Instance UID"])
def test_bad_uid(wire: Wire, name: str, uid: str | None, tmp_path: Path) -> None:
    """A missing or invalid SOP UID is rejected with a reason that does not quote it."""
    if uid and len(uid) > 0xFFFF and not wire.implicit:
        uid = uid[:60000]
    elements = dict(zip(["SOP Class UID", "SOP Instance UID"], raw.uids(wire), strict=True))
    if uid is None:
        del elements[name]
    else:
        elements[name] = raw.element(elements[name].tag, "UI", uid.encode(), wire)
    reason = refused(raw.part10(raw.joined([*elements.values()]), wire.uid), tmp_path)
    assert name in reason
    assert not uid or not uid.strip() or uid[:4] not in reason


def test_uid_of_maximum_length(tmp_path: Path) -> None:
    """A UID of 64 characters is accepted."""
    uid = "1." * 31 + "12"
    elements = [raw.uids(EXPLICIT)[0], raw.text(raw.SOP_INSTANCE, uid, EXPLICIT, "UI")]
    instance = stamped(raw.part10(raw.joined(elements), EXPLICIT.uid), tmp_path)
    assert instance.sop_instance_uid == uid


@pytest.mark.parametrize("uid", ["1." * 32 + "1", "1.2.é", "1.2\t3"])
def test_bad_transfer_syntax(uid: str, tmp_path: Path) -> None:
    """An invalid Transfer Syntax UID is rejected."""
    reason = refused(raw.part10(raw.joined(raw.uids(EXPLICIT)), uid), tmp_path)
    assert "Transfer Syntax UID" in reason
    assert uid[:4] not in reason


@each_group
@pytest.mark.parametrize(
    ("text", "is_quoted"),
    [
        *((word, True) for word in ("mary", "Yamada", "id-77", "1970-01-31", "Jane Roe", "poe")),
        *(
            (word, True)
            for word in ("smith", "House", "acc 42/7", "brain study", "other-9", "MRT Kopf")
        ),
        *((word, False) for word in ("CT", "F", "050Y", "study", "1.2.3.4")),
    ],
)
def test_identity(group: int, text: str, is_quoted: bool, tmp_path: Path) -> None:
    """Names, ids, dates and texts must not be quoted; codes and UIDs may be."""
    dataset = made(
        1,
        AccessionNumber="ACC427",
        PatientName="Doe^Mary Ann=Yamada",
        PatientID="ID-77 A",
        PatientBirthDate="19700131",
        OtherPatientNames=["Roe^Jane", "Poe"],
        PatientBirthName="Smith, Mary",
        PatientSex="F",
        PatientAge="050Y",
        StudyDescription="Brain study",
        RequestedProcedureDescription="MRT Kopf",
        ReferringPhysicianName="House^Gregory",
        OtherPatientIDsSequence=[Dataset()],
    )
    dataset.OtherPatientIDsSequence[0].PatientID = "OTHER-9"
    tag = PrivateTag(group, "Flywheel", "DICOM send")
    assert stamped(encoded(dataset), tmp_path, tag).read_identity().is_quoted_in(text) == is_quoted


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
def test_identity_beyond_ascii(charset: str, tmp_path: Path) -> None:
    """A name is recognized in the character set of its dataset."""
    dataset = made(1, SpecificCharacterSet=charset, PatientName="MÜLLER^Zoë", PatientID="7")
    identity = stamped(encoded(dataset), tmp_path).read_identity()
    assert identity.is_quoted_in("muller")
    assert identity.is_quoted_in("Zoë")


def test_nothing_is_quoted_once_a_dataset_is_unreadable(tmp_path: Path) -> None:
    """Any text might quote it."""
    instance = stamped(encoded(made(1, ImageComments="x" * 60_000)), tmp_path)
    instance.close()
    assert instance.read_identity().is_quoted_in("any text")


def test_the_identity_of_a_deflated_dataset_is_known(tmp_path: Path) -> None:
    """It is known although the inflated dataset is gone."""
    dataset = made(1, PatientName="Doe^Jane")
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    identity = stamped(encoded(dataset), tmp_path).read_identity()
    assert identity.is_quoted_in("Jane")
    assert not identity.is_quoted_in("any text")


def test_no_patient(tmp_path: Path) -> None:
    """Empty and missing names identify no patient."""
    identity = stamped(encoded(made(1, PatientName="", PatientID=" ")), tmp_path).read_identity()
    assert not identity.is_quoted_in("any text")


def test_repr_does_not_name_the_patient(tmp_path: Path) -> None:
    """The printed form of an instance does not name the patient."""
    dataset = made(1, PatientName="Doe^Mary", PatientID="ID77")
    shown = repr(stamped(encoded(dataset), tmp_path)).lower()
    assert not [word for word in ("doe", "mary", "id77") if word in shown]


def test_shipped_uid(tmp_path: Path) -> None:
    """A real image keeps its identity."""
    instance = stamped(shipped("CT_small.dcm").read_bytes(), tmp_path)
    expected = pydicom.dcmread(shipped("CT_small.dcm")).SOPInstanceUID
    assert (instance.sop_class_uid, instance.sop_instance_uid) == (CTImageStorage, expected)
