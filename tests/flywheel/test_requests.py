"""Each request of the gear equals the request of Flywheel's public SDK for the same purpose."""

import io
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import flywheel

from fw_gear_dicom_send.flywheel.client import connect
from fw_gear_dicom_send.flywheel.download import Downloader
from fw_gear_dicom_send.models import Container, FileEntry
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.flywheel_http import Replace
from tests.support.flywheel_site import FlywheelSite
from tests.support.sdk_world import World, sdk_world
from tests.support.site_clients import client_site, gear_config

NAME = "a b.dcm"
REPORT = b"a,b\n"
ASKED_BY_THE_SDK_ALONE = ("/api/version", "/api/auth/status")
Ask = Callable[[World, Path], object]


@pytest.fixture
def world(site: FlywheelSite) -> Iterator[World]:
    with sdk_world(site) as found:
        site.add_file(found.acquisition, NAME, b"image")
        yield found


def select(kind: str) -> Ask:
    """Return a function that selects the files of a container."""

    def ask(world: World, _: Path) -> None:
        config = gear_config(Container(kind, getattr(world, kind)))
        assert client_site(world.site).select(config).entries

    return ask


def download(world: World, folder: Path) -> None:
    """Download a file."""
    parent = Container("acquisition", world.acquisition)
    entry = FileEntry(parent, NAME, "", 5, key=NAME)
    Downloader(connect(world.site.api_key), folder, RetryPolicy(0)).download(entry)


def attach(world: World, folder: Path) -> None:
    """Attach a report."""
    path = folder / "r.csv"
    path.write_bytes(REPORT)
    client_site(world.site).attach(Container("session", world.session), path)


def upload(world: World, _: Path) -> None:
    """Let the SDK attach the report."""
    spec = flywheel.FileSpec("r.csv", io.BytesIO(REPORT), size=len(REPORT))
    world.fw.upload_file_to_session(world.session, spec)


def read_again(world: World, _: Path) -> None:
    """Let the SDK download a file, read its record, and download the file again."""
    world.fw.download_file_from_acquisition_as_data(world.acquisition, NAME)
    world.fw.get_acquisition_file_info(world.acquisition, NAME)
    world.fw.download_file_from_acquisition_as_data(world.acquisition, NAME)


SAME: dict[str, tuple[Ask, Ask]] = {
    "files of an acquisition": (
        lambda w, _: [
            w.fw.get_acquisition(w.acquisition),
            w.fw.get_project(w.project),
            w.fw.get_subject(w.subject),
            w.fw.get_session(w.session),
        ],
        select("acquisition"),
    ),
    "files of a session": (
        lambda w, _: [
            session := w.fw.get_session(w.session),
            w.fw.get_project(w.project),
            w.fw.get_subject(w.subject),
            list(session.acquisitions.iter()),
        ],
        select("session"),
    ),
    "download": (
        lambda w, _: w.fw.download_file_from_acquisition_as_data(w.acquisition, NAME),
        download,
    ),
    "upload": (upload, attach),
}


def recorded(world: World, ask: Ask, folder: Path) -> list[tuple[object, ...]]:
    """Return the requests received by the site, without parts that always differ."""
    world.site.requests.clear()
    ask(world, folder)
    found: list[tuple[object, ...]] = []
    for request in world.site.requests:
        if request.path in ASKED_BY_THE_SDK_ALONE:
            continue
        kind = request.headers.get("Content-Type", "").partition(";")[0]
        body: object = json.loads(request.body) if request.body and "json" in kind else b""
        path, query = request.path, dict(request.query)
        if path.startswith("/storage/"):
            path, query, body = "/storage", {}, request.body
        if query.get("ticket"):
            query["ticket"] = "the one that was given"
        found.append((request.method, path, query, body, REPORT in request.body))
    return found


@pytest.mark.parametrize("signed_url", [False, True])
@pytest.mark.parametrize("name", SAME)
def test_request_equals_that_of_the_sdk(
    world: World, tmp_path: Path, name: str, signed_url: bool
) -> None:
    """Path, query and body are the same for each way of transfer."""
    world.site.signed_url = signed_url
    theirs, ours = SAME[name]
    assert recorded(world, ours, tmp_path) == recorded(world, theirs, tmp_path)
    assert world.site.requests


def test_record_of_a_replaced_file_is_read_like_in_the_sdk(world: World, tmp_path: Path) -> None:
    """Only the record of that file is requested."""
    file_id = world.site.containers[world.acquisition]["files"][0]["file_id"]
    world.site.fault(file_id, Replace(b"newer image"))
    assert recorded(world, download, tmp_path) == recorded(world, read_again, tmp_path)


def test_report_is_uploaded_unchanged(world: World, tmp_path: Path) -> None:
    """Both uploads result in the same file."""
    attach(world, tmp_path)
    upload(world, tmp_path)
    ours, theirs = world.site.uploads
    assert ours == theirs
