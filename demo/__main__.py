"""Run the gear like Flywheel's engine, with a stand-in site and a DICOM server.

python -m demo [--pacs pynetdicom|orthanc|dicomweb] [--output FOLDER]
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom

from tests.support.flywheel_http import Upload
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder, GearResult
from tests.support.pacs import HOST, DicomWebOrthanc, Orthanc, PythonSCP, ServerError
from tests.support.sample_files import (
    TEST_FILES,
    ArchiveMember,
    member,
    shipped,
    with_new_uid,
    zip_of,
)

GROUP = 0x0021
IDENTIFIER = "Flywheel"
TAG_VALUE = "DICOM send"
NOTES = ArchiveMember("notes.txt", b"Not a DICOM file: the gear skips it.\n")
RUN_SECONDS = 300
OUTPUT = "demo-output"
REPORTS = "dicom-send_report-*"
SERVERS: dict[str, type[Orthanc] | type[PythonSCP]] = {
    "pynetdicom": PythonSCP,
    "orthanc": Orthanc,
    "dicomweb": DicomWebOrthanc,
}


@dataclass(frozen=True)
class SessionFile:
    """File of the demo's session, with the label of its acquisition and its images."""

    acquisition: str
    path: Path
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True)
class Received:
    """Image on the DICOM server."""

    sop_class: str
    transfer_syntax: str
    sop_instance_uid: str
    tag: str
    tag_value: str


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run of the gear: here, on the site and on the DICOM server."""

    gear: GearResult
    reports: tuple[Upload, ...]
    received: tuple[Received, ...]


def main(argv: Sequence[str]) -> int:
    """Run the demo; return 0 if the gear returned 0 and all images arrived with their tags."""
    parser = argparse.ArgumentParser(prog="python -m demo")
    parser.add_argument("--pacs", choices=tuple(SERVERS), default="pynetdicom")
    parser.add_argument("--output", type=Path, default=Path(OUTPUT), help="folder for the reports")
    arguments = parser.parse_args(argv)
    pacs = arguments.pacs
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        files = list(session_files(Path(folder)))
        try:
            with SERVERS[pacs]() as server:
                outcome = run_gear(server, files, Path(folder) / "v0")
        except ServerError as error:
            say("No DICOM server", str(error))
            return 1
    sent = {uid for file in files for uid in file.sop_instance_uids}
    tagged = {image.sop_instance_uid for image in outcome.received if image.tag_value == TAG_VALUE}
    keep(outcome.reports, arguments.output)
    say("Log of the gear", outcome.gear.log)
    say(
        f"Reports attached to the session (copies in {arguments.output.absolute()})",
        "\n".join(report.name for report in outcome.reports),
    )
    say(f"Images on the server ({pacs})", table(outcome.received) if outcome.received else "")
    say(
        "Outcome",
        f"{len(sent & tagged)} of {len(sent)} images arrived with the tag; "
        f"the gear took {outcome.gear.seconds:.1f} s, exit code {outcome.gear.exit_code}",
    )
    return 0 if outcome.gear.exit_code == 0 and outcome.reports and sent <= tagged else 1


def session_files(folder: Path) -> Iterator[SessionFile]:
    """Create the session's files in `folder` from pydicom's sample images, and yield them."""
    chest = [
        member(str(path.relative_to(TEST_FILES)), f"chest/{number}.dcm")
        for number, path in enumerate(sorted(TEST_FILES.glob("dicomdirtests/98892001/CT*/*")), 1)
    ]
    head = [
        ArchiveMember(f"head/{name}", with_new_uid(shipped(name)))
        for name in (
            "MR_small.dcm",
            "MR_small_implicit.dcm",
            "MR_small_bigendian.dcm",
            "MR_small_RLE.dcm",
            "MR_small_jp2klossless.dcm",
            "MR_small_jpeg_ls_lossless.dcm",
        )
    ]
    plan = [member("rtplan.dcm"), member("rtdose.dcm")]
    yield SessionFile("CT chest", zip_of(folder / "chest.dicom.zip", [*chest, NOTES]), uids(chest))
    yield SessionFile("MR head", zip_of(folder / "head.dicom.zip", [NOTES, *head]), uids(head))
    yield SessionFile("RT plan", zip_of(folder / "plan.dcm.zip", plan), uids(plan))
    for acquisition, name in (
        ("Captures", "JPEG2000.dcm"),
        ("Captures", "SC_rgb_jpeg_gdcm.dcm"),
        ("Captures", "SC_rgb_jpeg_dcmtk.dcm"),
        ("Captures", "image_dfl.dcm"),
        ("Reading", "test-SR.dcm"),
        ("ECG", "waveform_ecg.dcm"),
    ):
        yield SessionFile(acquisition, shipped(name), uids([member(name)]))


def uids(members: Iterable[ArchiveMember]) -> tuple[str, ...]:
    """Return the SOP Instance UIDs of DICOM files."""
    return tuple(pydicom.dcmread(io.BytesIO(item.content)).SOPInstanceUID for item in members)


def run_gear(server: Orthanc | PythonSCP, files: Iterable[SessionFile], folder: Path) -> Outcome:
    """Add the files to a site, and run the gear on their session."""
    with FlywheelSite() as site:
        project = site.add_project(site.add_group("radiology"), "Demo")
        session = site.add_session(site.add_subject(project, "sub-01"), "Visit 1")
        acquisitions: dict[str, str] = {}
        for file in files:
            label = file.acquisition
            if label not in acquisitions:
                acquisitions[label] = site.add_acquisition(session, label)
            site.add_file(acquisitions[label], file.path.name, file.path)
        config = {
            "destination": server.url if isinstance(server, DicomWebOrthanc) else HOST,
            "port": server.port,
            "called_ae": server.ae_title,
            "group": f"0x{GROUP:04x}",
            "identifier": IDENTIFIER,
            "tag_value": TAG_VALUE,
        }
        gear = GearFolder(folder, config, api_key=site.api_key, destination_id=session)
        result = gear.run(RUN_SECONDS)
        attached = tuple(upload for upload in site.uploads if upload.container_id == session)
    return Outcome(
        gear=result,
        reports=attached,
        received=tuple(received(content) for content in server.files()),
    )


def keep(reports: Iterable[Upload], folder: Path) -> None:
    """Write the reports of this run to a folder, and delete those of the last run."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(REPORTS):
        old.unlink()
    for report in reports:
        (folder / report.name).write_bytes(report.content)


def received(content: bytes) -> Received:
    """Read the DICOM file of a received image."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    element = private_element(dataset)
    value = element.value if element else ""
    return Received(
        sop_class=dataset.SOPClassUID.name.removesuffix(" Storage"),
        transfer_syntax=dataset.file_meta.TransferSyntaxUID.name,
        sop_instance_uid=dataset.SOPInstanceUID,
        tag=f"({element.tag.group:04X},{element.tag.element:04X})" if element else "",
        tag_value=value.decode().strip() if isinstance(value, bytes) else str(value),
    )


def private_element(dataset: pydicom.Dataset) -> pydicom.DataElement | None:
    """Return the first element of the creator's private block (PS3.5 7.8.1)."""
    group = dataset.group_dataset(GROUP)
    blocks = [
        element.tag.element
        for element in group
        if element.tag.is_private_creator and element.value == IDENTIFIER
    ]
    return next((element for element in group if element.tag.element >> 8 in blocks), None)


def table(images: Iterable[Received]) -> str:
    """Return a table with a line for each image."""
    lines = [f"{'SOP class':<28} {'Transfer syntax':<44} {'SOP instance':<14} Tag"]
    for image in sorted(images, key=lambda image: (image.sop_class, image.transfer_syntax)):
        tail = "..." + image.sop_instance_uid[-10:]
        lines.append(
            f"{image.sop_class[:28]:<28} {image.transfer_syntax[:44]:<44} {tail:<14} "
            f"{image.tag or 'missing'} {image.tag_value}"
        )
    return "\n".join(lines)


def say(heading: str, text: str) -> None:
    """Print a section, unless it is empty."""
    if not text.strip():
        return
    sys.stdout.write(f"\n== {heading}\n{text.rstrip()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
