"""With --association-per-study, each study goes over one association with all its contexts."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, zip_of
from tests.support.send_command import rows_of, send, to

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
STUDIES, IMAGES = 5, 4
OPTION = "--association-per-study"


def study_uid(number: int) -> str:
    """Return the UID of a study."""
    return f"1.2.826.{number}"


def content(study: int, number: int) -> bytes:
    """Return an image of a study, every other one of another SOP class."""
    sop_class = MR if number % 2 else CT
    number += 100 * study
    uid, patient = study_uid(study), f"patient {study}"
    return encoded(made(number, SOPClassUID=sop_class, StudyInstanceUID=uid, PatientID=patient))


def mixed(folder: Path) -> list[Path]:
    """Write the images of all studies; their order by name changes the study each time."""
    folder.mkdir()
    paths = []
    for number in range(IMAGES):
        for study in range(STUDIES):
            paths.append(folder / f"{number}-{study}.dcm")
            paths[-1].write_bytes(content(study, number))
    return paths


def folder_of(paths: list[Path]) -> list[Path]:
    """Return the folder of the images."""
    return [paths[0].parent]


def one_zip(paths: list[Path]) -> list[Path]:
    """Return a zip of all images."""
    return [
        zip_of(
            paths[0].parent.parent / "all.zip",
            [ArchiveMember(p.name, p.read_bytes()) for p in paths],
        )
    ]


def one_tar(paths: list[Path]) -> list[Path]:
    """Return a tar of all images."""
    return [
        tar_of(
            paths[0].parent.parent / "all.tar",
            [ArchiveMember(p.name, p.read_bytes()) for p in paths],
        )
    ]


def each_file(paths: list[Path]) -> list[Path]:
    """Return each image."""
    return paths


def by_study(stored: tuple[CStore, ...]) -> dict[str, list[CStore]]:
    """Return the requests by study."""
    found = defaultdict(list)
    for request in stored:
        uid = dcmread(DicomBytesIO(request.file())).StudyInstanceUID
        found[str(uid)].append(request)
    return found


@pytest.mark.parametrize("inputs", [folder_of, one_zip, one_tar, each_file])
@pytest.mark.parametrize("max_associations", [1, 10])
def test_a_study_has_one_association(
    tmp_path: Path, inputs: Callable[[list[Path]], list[Path]], max_associations: int
) -> None:
    """No other study uses it, and it proposes both SOP classes of the study."""
    paths = inputs(mixed(tmp_path / "in"))
    server = PythonSCP()
    server.ae.maximum_associations = max_associations
    with server:
        result = send(*paths, *to(server, OPTION, "-j", 3), cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    studies = by_study(server.stored)
    assert {uid: len(requests) for uid, requests in studies.items()} == {
        study_uid(number): IMAGES for number in range(STUDIES)
    }
    used = [{request.association for request in requests} for requests in studies.values()]
    assert [len(numbers) for numbers in used] == [1] * STUDIES
    assert len(set.union(*used)) == STUDIES
    for number in set.union(*used):
        proposed = server.associations[number - 1].contexts
        assert {CT, MR} <= {context.abstract_syntax for context in proposed}
    assert server.aborted == 0


def test_without_the_option_studies_share_associations(tmp_path: Path) -> None:
    """An association takes whatever comes next."""
    folder = tmp_path / "in"
    mixed(folder)
    with PythonSCP() as server:
        result = send(folder, *to(server, "-j", 1), cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    used = [{one.association for one in requests} for requests in by_study(server.stored).values()]
    assert set.intersection(*used)


def test_a_split_study_is_named(tmp_path: Path) -> None:
    """After a lost association, the log and the page name the study."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(content(0, number))
    lost: list[object] = []

    def lose_one(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            if len(lost) == 0:
                lost.append(image)
                peer.abort()
                return
            peer.answer(image)

    with FaultSCP(lose_one) as server:
        result = send(folder, *to(server, OPTION, "--send-retry-time", 30), cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert f"Study {study_uid(0)} is split" in result.stderr
    (page,) = tmp_path.glob("*.html")
    assert study_uid(0) in page.read_text()


def test_refused_first_images_of_a_patient_at_a_server_with_one_association(tmp_path: Path) -> None:
    """A study that may create the patient needs no association that another study holds."""
    folder, free, refused = tmp_path / "in", Lock(), 3
    folder.mkdir()
    for number in range(STUDIES * IMAGES):
        uid = study_uid(number // IMAGES)
        image = encoded(made(number, StudyInstanceUID=uid, PatientID="one"))
        (folder / f"{number:02}.dcm").write_bytes(image)

    def serve_one(peer: Peer) -> None:
        if not free.acquire(blocking=False):
            peer.reject(2, 3, 2)
            return
        try:
            peer.accept()
            while True:
                image = peer.read_image()
                peer.answer(image, 0xA900 if len(server.images) <= refused else 0)
        finally:
            free.release()

    with FaultSCP(serve_one) as server:
        result = send(folder, *to(server, OPTION, "-j", 3), cwd=tmp_path, timeout=60)
    assert result.exit_code == 1
    assert [row["Images Sent"] for row in rows_of(tmp_path)] == [str(STUDIES * IMAGES - refused)]


def test_queries_at_a_server_with_one_association(tmp_path: Path) -> None:
    """The association for queries makes room for that of a study."""
    paths = mixed(tmp_path / "in")
    server = ArchiveSCP()
    server.ae.maximum_associations = 1
    with server:
        options = to(server, OPTION, "--skip-existing", "-j", 2, "--send-retry-time", 5)
        result = send(tmp_path / "in", *options, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert len(server.stored) == len(paths)


def test_a_nested_archive_goes_over_one_association(tmp_path: Path) -> None:
    """Its images use the association of its first study, and its other studies are named."""
    inner = [ArchiveMember(f"{study}.dcm", content(study, 0)) for study in range(3)]
    nested = zip_of(tmp_path / "inner.zip", inner).read_bytes()
    members = [ArchiveMember("1.dcm", content(1, 1)), ArchiveMember("inner.zip", nested)]
    archive = zip_of(tmp_path / "outer.zip", members)
    with PythonSCP() as server:
        result = send(archive, *to(server, OPTION, "-j", 3), cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    used = [{one.association for one in requests} for requests in by_study(server.stored).values()]
    assert sorted(map(len, used)) == [1, 1, 2]
    assert len(set.union(*used)) == 2
    assert f"Study {study_uid(1)} is split" in result.stderr
    assert result.stderr.count("is split") == 1
