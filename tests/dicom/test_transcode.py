"""Changing the transfer syntax of an image, held against DCMTK and against known pairs."""

import io
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)

from fw_gear_dicom_send.dicom.transcode.converter import convert
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span, Unreadable
from tests.support.sample_files import encoded, made, shipped

PIXELS = {Tag("PixelData"), Tag("PhotometricInterpretation"), Tag("PlanarConfiguration")}
BOTH = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
RAW_FRAME = bytes(range(256)) * 2
RLE_FRAME = struct.pack("<16I", 2, 64, 64 + 258, *[0] * 13) + 2 * (
    b"\x7f" + bytes(range(128)) + b"\x7f" + bytes(range(128, 256))
)


def instance(content: bytes, transfer_syntax_uid: str = "") -> SOPInstance:
    """Return the dataset of a DICOM file."""
    source = io.BytesIO(content)
    read_preamble(source, force=False)
    meta = _read_file_meta_info(source)
    return SOPInstance(
        sop_class_uid=meta.MediaStorageSOPClassUID,
        sop_instance_uid=meta.MediaStorageSOPInstanceUID,
        transfer_syntax_uid=transfer_syntax_uid or meta.TransferSyntaxUID,
        dataset=EncodedDataset(source, (Span(source.tell(), len(content)),)),
        identifying=frozenset({"made"}),
    )


def bare(data: bytes, transfer_syntax_uid: str) -> SOPInstance:
    """Return an instance whose dataset is given byte by byte."""
    dataset = EncodedDataset(io.BytesIO(), (data,))
    return SOPInstance("1.2", "1.2.3", transfer_syntax_uid, dataset)


def encoded_by(instance: SOPInstance, target: str, work: Path) -> bytes:
    """Convert, and return the encoded dataset."""
    converted = convert(instance, target, work)
    assert isinstance(converted, SOPInstance), converted
    assert converted.transfer_syntax_uid == target
    data = b"".join(converted.dataset.chunks(1000))
    converted.dataset.close()
    return data


def converted(content: bytes, target: str, work: Path) -> Dataset:
    """Convert a DICOM file, and read the dataset."""
    data = encoded_by(instance(content), target, work)
    return read_dataset(DicomBytesIO(data), target == ImplicitVRLittleEndian, True)


def refused(instance: SOPInstance, work: Path, target: str = ExplicitVRLittleEndian) -> str:
    """Return the cause that an instance cannot be converted for."""
    result = convert(instance, target, work)
    assert isinstance(result, Unreadable)
    return result.reason.split(": ", 1)[1]


def by_dcmtk(content: bytes, work: Path, *command: str) -> bytes:
    """Return what a DCMTK tool makes of a file."""
    (work / "in.dcm").write_bytes(content)
    subprocess.run([*command, work / "in.dcm", work / "out.dcm"], check=True, capture_output=True)
    return (work / "out.dcm").read_bytes()


def differences(one: Dataset, other: Dataset, but: Iterable[BaseTag] = ()) -> list[str]:
    """Name the elements that differ, but group lengths and those given."""
    tags = {tag for tag in (*one.keys(), *other.keys()) if tag.element} - set(but)
    found = []
    for tag in sorted(tags):
        if tag not in one or tag not in other:
            found.append(f"{tag} is in one only")
        elif one[tag].VR == other[tag].VR == "SQ" and len(one[tag].value) == len(other[tag].value):
            for items in zip(one[tag].value, other[tag].value, strict=True):
                found += differences(*items)
        elif one[tag].value != other[tag].value and not one[tag].is_empty & other[tag].is_empty:
            found.append(f"{tag} differs")
    return found


def compressed(syntax: str, frames: Iterable[bytes], **elements: object) -> Dataset:
    """Return a 16 x 16 image of the given frames, one fragment each."""
    dataset = made(1, **elements)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(list(frames), has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "reportsi.dcm", "test-SR.dcm", "liver_1frame.dcm"]
)
def test_explicit_to_implicit_keeps_every_value(name: str, tmp_path: Path) -> None:
    """Nested and private elements come out of implicit VR as DCMTK reads them."""
    content = shipped(name).read_bytes()

    dataset = converted(content, ImplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(content, tmp_path, "dcmconv", "+ti")))
    assert differences(truth, dataset) == []


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "rtdose.dcm", "MR_small_implicit.dcm", "nested_priv_SQ.dcm"]
)
def test_implicit_to_explicit_keeps_every_value(name: str, tmp_path: Path) -> None:
    """Implicit VR files read the same in explicit VR."""
    dataset = converted(shipped(name).read_bytes(), ExplicitVRLittleEndian, tmp_path)

    assert differences(pydicom.dcmread(shipped(name)), dataset) == []


def test_implicit_to_explicit_names_the_dictionary_vr(tmp_path: Path) -> None:
    """VRs come from the dictionary; those it leaves open are the ones of implicit VR."""
    dataset = converted(shipped("rtdose.dcm").read_bytes(), ExplicitVRLittleEndian, tmp_path)

    assert dataset["PatientName"].VR == "PN"
    assert dataset["DoseGridScaling"].VR == "DS"
    assert dataset["PixelData"].VR == "OW"


def test_private_elements_become_un(tmp_path: Path) -> None:
    """In explicit VR a private element is UN, its creator LO."""
    data = bytes.fromhex("2100100004000000") + b"Made" + bytes.fromhex("2100001004000000") + b"sent"

    out = encoded_by(bare(data, ImplicitVRLittleEndian), ExplicitVRLittleEndian, tmp_path)

    assert (
        out
        == (bytes.fromhex("210010004c4f0400") + b"Made" + bytes.fromhex("21000010554e000004000000"))
        + b"sent"
    )


def test_unknown_sequence_stays_implicit(tmp_path: Path) -> None:
    """A private sequence of undefined length goes as UN, with implicit VR content."""
    inner = bytes.fromhex("feff00e0ffffffff 1000100002000000") + b"ab"
    inner += bytes.fromhex("feff0de000000000 feffdde000000000")
    source = bytes.fromhex("21000010ffffffff") + inner

    out = encoded_by(bare(source, ImplicitVRLittleEndian), ExplicitVRLittleEndian, tmp_path)

    explicit = bytes.fromhex("21000010554e0000ffffffff") + inner
    assert out == explicit
    back = bare(explicit, ExplicitVRLittleEndian)
    assert encoded_by(back, ImplicitVRLittleEndian, tmp_path) == source


def test_sign_is_known_before_pixel_representation_comes(tmp_path: Path) -> None:
    """US or SS follows Pixel Representation, even of elements in front of it and in items."""
    dataset = made(1, PixelRepresentation=1)
    dataset.ZeroVelocityPixelValue = -5
    dataset["ZeroVelocityPixelValue"].VR = "SS"
    item = Dataset()
    item.ZeroVelocityPixelValue = -6
    item["ZeroVelocityPixelValue"].VR = "SS"
    dataset.ReferencedImageSequence = Sequence([item])
    dataset.is_implicit_VR = True
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out["ZeroVelocityPixelValue"].VR == "SS"
    assert out.ZeroVelocityPixelValue == -5
    assert out.ReferencedImageSequence[0].ZeroVelocityPixelValue == -6


def test_value_too_long_for_its_vr_becomes_un(tmp_path: Path) -> None:
    """What implicit VR holds and a 16-bit length does not is kept as UN."""
    data = bytes.fromhex("2800100000000100") + bytes(0x10000)

    out = encoded_by(bare(data, ImplicitVRLittleEndian), ExplicitVRLittleEndian, tmp_path)

    assert out == bytes.fromhex("28001000554e000000000100") + bytes(0x10000)


def test_vr_of_the_future_is_read_with_a_long_length(tmp_path: Path) -> None:
    """An unknown VR has a 32-bit length."""
    data = bytes.fromhex("080005005a5a000002000000") + b"ab"

    out = encoded_by(bare(data, ExplicitVRLittleEndian), ImplicitVRLittleEndian, tmp_path)

    assert out == bytes.fromhex("0800050002000000") + b"ab"


def test_group_lengths_are_never_false(tmp_path: Path) -> None:
    """Group lengths, which the other encoding changes, go."""
    data = bytes.fromhex("08000000 554c0400 0a000000  08006000 43530200") + b"CT"

    out = encoded_by(bare(data, ExplicitVRLittleEndian), ImplicitVRLittleEndian, tmp_path)

    assert out == bytes.fromhex("08006000 02000000") + b"CT"


@pytest.mark.parametrize("target", BOTH)
def test_deflated_is_inflated(target: str, tmp_path: Path) -> None:
    """A deflated dataset reads the same in both targets."""
    content = shipped("image_dfl.dcm").read_bytes()

    dataset = converted(content, target, tmp_path)

    assert differences(pydicom.dcmread(io.BytesIO(content)), dataset) == []


def test_damaged_deflated_data_is_refused(tmp_path: Path) -> None:
    """Deflated data that breaks off or is none is unreadable."""
    engine = zlib.compressobj(wbits=-15)
    data = engine.compress(bytes(1000)) + engine.flush()

    early = refused(bare(data[:-3], DeflatedExplicitVRLittleEndian), tmp_path)
    damaged = refused(bare(b"\xff" + data, DeflatedExplicitVRLittleEndian), tmp_path)

    assert early == "its deflated data ends early"
    assert damaged == "its deflated data is damaged"


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize(
    ("big", "little"),
    [
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
    ],
)
def test_big_endian_becomes_its_little_endian_twin(
    big: str, little: str, target: str, tmp_path: Path
) -> None:
    """All values, and words and bytes of pixels, are those of the little-endian file."""
    dataset = converted(shipped(big).read_bytes(), target, tmp_path)

    assert dataset.PixelData == pydicom.dcmread(shipped(little)).PixelData
    assert differences(pydicom.dcmread(shipped(big)), dataset, [Tag("PixelData")]) == []


def test_big_endian_words_are_swapped_wherever_they_are(tmp_path: Path) -> None:
    """Words of every width are swapped, in items as well; OB and UN stay."""
    words = "00186060 4644 0008 0102030405060708  00281201 4f57 0000 00000002 0102"
    words += "00660016 4f46 0000 00000004 01020304"
    words += "00720073 4f44 0000 00000008 0102030405060708"
    words += "00420011 4f42 0000 00000002 0102  00430011 554e 0000 00000002 0102"
    size = len(bytes.fromhex(words))
    data = bytes.fromhex(f"00081140 5351 0000 {size + 8:08x} fffee000 {size:08x}" + words)

    out = encoded_by(bare(data, ExplicitVRBigEndian), ImplicitVRLittleEndian, tmp_path)

    item = "18006060 08000000 0807060504030201 28000112 02000000 0201  66001600 04000000 04030201"
    item += "72007300 08000000 0807060504030201 42001100 02000000 0102 43001100 02000000 0102"
    sequence = "08004011 ffffffff feff00e0 ffffffff" + item
    assert out == bytes.fromhex(sequence + "feff0de0 00000000 feffdde0 00000000")


def test_big_endian_pixels_of_two_words_are_refused(tmp_path: Path) -> None:
    """32-bit pixels as OW have no order that all writers agree on."""
    content = shipped("rtdose_expb.dcm").read_bytes()

    assert refused(instance(content), tmp_path) == "its pixels can be read in two ways"


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize(
    ("coded", "native"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("rtdose_rle.dcm", "rtdose.dcm"),
    ],
)
def test_lossless_pixels_come_out_exactly(
    coded: str, native: str, target: str, tmp_path: Path
) -> None:
    """Decoded pixels are those of the file that was compressed, and nothing else changes."""
    content = shipped(coded).read_bytes()

    dataset = converted(content, target, tmp_path)

    assert dataset.PixelData == pydicom.dcmread(shipped(native)).PixelData
    assert differences(pydicom.dcmread(io.BytesIO(content)), dataset, PIXELS) == []
    assert dataset.PhotometricInterpretation == "MONOCHROME2"


@pytest.mark.parametrize(("bits", "vr"), [("", "OB"), ("_16bit", "OW"), ("_32bit", "OW")])
@pytest.mark.parametrize("frames", ["", "_2frame"])
def test_rle_colours_are_those_of_dcmtk(bits: str, vr: str, frames: str, tmp_path: Path) -> None:
    """RLE of 1, 2 and 4 bytes a sample, in one frame and two, equals dcmdrle's pixels."""
    content = shipped(f"SC_rgb_rle{bits}{frames}.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(content, tmp_path, "dcmdrle")))
    assert dataset.PixelData == truth.PixelData
    assert vr == dataset["PixelData"].VR
    assert dataset.PhotometricInterpretation == "RGB"
    assert dataset.PlanarConfiguration == 0


def test_decoded_colours_lie_pixel_by_pixel(tmp_path: Path) -> None:
    """Colours that were planar, or half-sampled, are called neither once they are decoded."""
    dataset = pydicom.dcmread(shipped("SC_rgb_rle.dcm"))
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PlanarConfiguration = 1

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out.PhotometricInterpretation == "YBR_FULL"
    assert out.PlanarConfiguration == 0
    assert out.PixelData[:6] == b"\xff\x00\x00" * 2


@pytest.mark.parametrize("option", ["+e1", "+el"])
@pytest.mark.parametrize("name", ["MR_small.dcm", "SC_rgb_small_odd.dcm"])
def test_jpeg_lossless_comes_out_exactly(option: str, name: str, tmp_path: Path) -> None:
    """Both lossless processes of DCMTK's encoder decode to what was encoded."""
    content = shipped(name).read_bytes()
    coded = by_dcmtk(content, tmp_path, "dcmcjpeg", option, "+un")

    dataset = converted(coded, ExplicitVRLittleEndian, tmp_path)

    assert dataset.PixelData == pydicom.dcmread(io.BytesIO(content)).PixelData


def test_jpeg_ls_near_lossless_is_as_dcmtk_decodes_it(tmp_path: Path) -> None:
    """Near-lossless pixels are decoded, and nothing more is lost."""
    content = shipped("SC_rgb_small_odd.dcm").read_bytes()
    coded = by_dcmtk(content, tmp_path, "dcmcjpls", "+en", "+md", "3")

    dataset = converted(coded, ExplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(coded, tmp_path, "dcmdjpls")))
    assert dataset.PixelData == truth.PixelData
    assert dataset.LossyImageCompression == "01"


@pytest.mark.parametrize(
    ("name", "photometric"),
    [
        ("JPGExtended.dcm", "MONOCHROME2"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "RGB"),
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cy+n2.dcm", "YBR_FULL"),
        ("SC_rgb_small_odd_jpeg.dcm", "YBR_FULL"),
        ("SC_jpeg_no_color_transform.dcm", "RGB"),
        ("SC_jpeg_no_color_transform_2.dcm", "RGB"),
        ("SC_rgb_jpeg_app14_dcmd.dcm", "RGB"),
    ],
)
def test_jpeg_colours_stay_and_are_named_rightly(
    name: str, photometric: str, tmp_path: Path
) -> None:
    """Lossy JPEG pixels equal DCMTK's without colour conversion, under their true name."""
    content = shipped(name).read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(content, tmp_path, "dcmdjpeg", "+cn")))
    assert dataset.PhotometricInterpretation == photometric
    assert dataset.PixelData == truth.PixelData
    assert len(dataset.PixelData) % 2 == 0


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm"])
def test_bit_stream_is_right_about_its_colours(name: str, tmp_path: Path) -> None:
    """Luminance and colour difference that the dataset calls RGB are named YBR_FULL."""
    dataset = pydicom.dcmread(shipped(name))
    dataset.PhotometricInterpretation = "RGB"

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out.PhotometricInterpretation == "YBR_FULL"
    # The sample is red, which is this in YBR_FULL (PS3.3 C.7.6.3.1.2).
    assert out.PixelData[:3] == bytes([76, 85, 255])


def test_jpeg_2000_colour_transform_is_taken_back(tmp_path: Path) -> None:
    """YBR_RCT comes out as RGB, of a bit stream in a JP2 wrapper too."""
    content = shipped("GDCMJ2K_TextGBR.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    assert dataset.PhotometricInterpretation == "RGB"
    assert dataset.PixelData[:3] == b"\x80\x80\x80"


def test_sign_that_a_bit_stream_lacks_is_restored(tmp_path: Path) -> None:
    """13 bits that JPEG 2000 calls unsigned are signed where the dataset says so."""
    content = shipped("J2K_pixelrep_mismatch.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    assert struct.unpack("<h", dataset.PixelData[:2]) == (-2000,)


@pytest.mark.parametrize("table", [True, False])
def test_frames_in_several_fragments_are_joined(table: bool, tmp_path: Path) -> None:
    """Frames of two fragments come out in order, with and without an offset table."""
    coded = []
    for number in (1, 2, 3):
        file = by_dcmtk(encoded(made(number)), tmp_path, "dcmcjpeg", "+e1")
        coded.append(pydicom.encaps.defragment_data(pydicom.dcmread(io.BytesIO(file)).PixelData))
    dataset = compressed(JPEGLosslessSV1, coded, NumberOfFrames=3)
    dataset.PixelData = encapsulate(coded, fragments_per_frame=2, has_bot=table)

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out.PixelData == b"".join(made(number).PixelData for number in (1, 2, 3))


def test_offsets_of_frames_go(tmp_path: Path) -> None:
    """The Extended Offset Table says nothing of native pixels."""
    dataset = compressed(RLELossless, [RLE_FRAME])
    dataset.ExtendedOffsetTable = bytes(8)
    dataset.ExtendedOffsetTableLengths = struct.pack("<Q", len(RLE_FRAME))

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert "ExtendedOffsetTable" not in out
    assert "ExtendedOffsetTableLengths" not in out
    assert out.PixelData[::2] == bytes(range(256))


@pytest.mark.parametrize("number", [1, 3])
def test_other_number_of_frames_is_refused(number: int, tmp_path: Path) -> None:
    """Frames more or fewer than Number of Frames are not sent."""
    dataset = compressed(RLELossless, [RLE_FRAME] * number, NumberOfFrames=2)

    cause = refused(instance(encoded(dataset)), tmp_path)

    assert cause == "it holds more or fewer frames than the dataset says"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("MR_small_RLE.dcm", "a frame is damaged"),
        ("MR_small_jp2klossless.dcm", "a frame ends early"),
        ("MR_small_jpeg_ls_lossless.dcm", "a frame ends early"),
    ],
)
def test_fragment_that_breaks_off_is_refused(name: str, cause: str, tmp_path: Path) -> None:
    """Half a frame is not sent."""
    dataset = pydicom.dcmread(shipped(name))
    frame = pydicom.encaps.defragment_data(dataset.PixelData)
    dataset.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])

    assert refused(instance(encoded(dataset)), tmp_path) == cause


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"])
def test_jpeg_data_that_the_decoder_makes_up_is_refused(name: str, tmp_path: Path) -> None:
    """A frame whose second half is missing is not filled with grey."""
    dataset = pydicom.dcmread(shipped(name))
    frame = pydicom.encaps.defragment_data(dataset.PixelData)
    dataset.PixelData = encapsulate([frame[: len(frame) * 3 // 4] + b"\xff\xd9"])

    assert refused(instance(encoded(dataset)), tmp_path) == "a frame is damaged"


def test_broken_huffman_table_does_not_end_the_run(tmp_path: Path) -> None:
    """A frame that aborts GDCM is one unreadable image."""
    color = by_dcmtk(shipped("SC_rgb_rle.dcm").read_bytes(), tmp_path, "dcmdrle")
    dataset = pydicom.dcmread(io.BytesIO(by_dcmtk(color, tmp_path, "dcmcjpeg", "+e1")))
    frame = bytearray(pydicom.encaps.defragment_data(dataset.PixelData))
    table = frame.index(b"\xff\xc4")
    frame[table + 5 : table + 21] = b"\xff" * 16
    dataset.PixelData = encapsulate([bytes(frame)])

    assert refused(instance(encoded(dataset)), tmp_path) == "a frame is damaged"


def test_sequence_delimiter_within_a_fragment_ends_nothing(tmp_path: Path) -> None:
    """Fragments are read by their length; here that of the damaged frame is seen."""
    content = shipped("JPEG2000-embedded-sequence-delimiter.dcm").read_bytes()

    cause = refused(instance(content), tmp_path)

    assert cause == "a frame has another size than the dataset says"


def test_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    """Rows that contradict the bit stream make the image unreadable."""
    dataset = pydicom.dcmread(shipped("MR_small_jp2klossless.dcm"))
    dataset.Rows += 1

    cause = refused(instance(encoded(dataset)), tmp_path)

    assert cause == "a frame has another size than the dataset says"


def test_more_than_four_gibibytes_are_refused(tmp_path: Path) -> None:
    """Pixels that no element can hold are not decoded at all."""
    dataset = compressed(RLELossless, [RLE_FRAME], NumberOfFrames=2**31)

    assert refused(instance(encoded(dataset)), tmp_path) == "its pixels would be longer than 4 GiB"


def test_icons_are_decoded_as_well(tmp_path: Path) -> None:
    """No pixel data stays encapsulated, and a native icon stays as it is."""
    coded, native = Dataset(), Dataset()
    for icon in (coded, native):
        icon.update(made(1).group_dataset(0x28))
    coded.PixelData = encapsulate([RLE_FRAME])
    coded.add(pydicom.DataElement("PixelData", "OB", coded.PixelData, is_undefined_length=True))
    native.add_new("PixelData", "OW", RAW_FRAME)
    dataset = compressed(RLELossless, [RLE_FRAME])
    dataset.IconImageSequence = Sequence([coded, native])

    out = converted(encoded(dataset), ImplicitVRLittleEndian, tmp_path)

    icon, other = out.IconImageSequence
    assert icon.PixelData == out.PixelData == bytes(i // 2 for i in range(512))
    assert other.PixelData == RAW_FRAME


def test_compressed_syntax_without_pixels_is_only_renamed(tmp_path: Path) -> None:
    """A dataset without pixel data in a compressed syntax keeps all elements."""
    content = shipped("UN_sequence.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    assert differences(pydicom.dcmread(io.BytesIO(content)), dataset) == []


def test_other_syntaxes_are_refused(tmp_path: Path) -> None:
    """Video has no decoder here, and the reason names both syntaxes."""
    result = convert(bare(b"", MPEG2MPML), ExplicitVRLittleEndian, tmp_path)

    assert result == Unreadable(
        "cannot be converted from MPEG2 Main Profile / Main Level to "
        "Explicit VR Little Endian: there is no decoder for it"
    )


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_dataset_that_ends_early_is_refused(name: str, tmp_path: Path) -> None:
    """A dataset that breaks off in an element is unreadable."""
    source = instance(shipped(name).read_bytes())
    (target,) = {*BOTH} - {source.transfer_syntax_uid}

    assert refused(source, tmp_path, target) == "it ends early"


def test_sequences_nested_without_end_are_refused(tmp_path: Path) -> None:
    """Nesting that no real dataset has is unreadable, not a crash."""
    data = bytes.fromhex("400030a7 ffffffff feff00e0 ffffffff") * 5000

    cause = refused(bare(data, ImplicitVRLittleEndian), tmp_path)

    assert cause == "its sequences are nested too deeply"


def test_instance_stays_the_same_and_its_source_open(tmp_path: Path) -> None:
    """UIDs and identifying values go along, and the caller closes the old dataset."""
    source = instance(shipped("CT_small.dcm").read_bytes())

    result = convert(source, ImplicitVRLittleEndian, tmp_path)

    assert isinstance(result, SOPInstance)
    assert result.sop_class_uid == source.sop_class_uid
    assert result.sop_instance_uid == source.sop_instance_uid
    assert result.identifying == source.identifying
    assert result.dataset.size == sum(map(len, result.dataset.chunks(4096)))
    assert not source.dataset.source.closed


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    """400 frames of 128 KiB take the memory of a few."""
    side, count = 256, 400
    segment = b"\x81\x07" * (side * side // 128)
    header = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13)
    frames = [header + segment + segment] * count
    source = instance(encoded(compressed(RLELossless, frames, pixels=side, NumberOfFrames=count)))
    tracemalloc.start()

    result = convert(source, ExplicitVRLittleEndian, tmp_path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(result, SOPInstance)
    assert result.dataset.size > side * side * 2 * count
    assert peak < 5 * 2**20
    result.dataset.close()
