"""Files and containers of a Flywheel site.

All requests go to the REST API of the site
(https://api-docs.flywheel.io, `/api/<containers>/<id>[/files]`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from http import HTTPStatus
from io import SEEK_END
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from fw_core_client import CoreClient

from ..config import GearConfig
from ..errors import ConfigError, SiteError
from ..left_out import LeftOutFiles
from ..models import Container, Exclusion, FileEntry, Origin, Selection
from ..reasons import Program
from ..report_names import is_per_image
from ..retry import ONCE, RetryPolicy
from ..text import printable, quantity
from ..values import field, frozen
from .api import API, SITE_POLICY, container_url, with_new_urls
from .client import connect
from .project_file import server_in

log = logging.getLogger(__name__)

LEVELS = ("group", "project", "subject", "session", "acquisition")
RUN_LEVELS = LEVELS[2:]
MAX_REPORTS = 20
"""Maximum number of per-image reports of earlier runs that are read."""
MAX_REPORT_BYTES = 256 << 20
"""Maximum total size, in bytes, of these reports."""
NO_TICKET = (400, 404, 405, 409, 422, 501)
"""HTTP status of sites that do not support upload tickets."""
NO_PATCH = (404, 405)
"""HTTP status of sites that change custom information by POST only, such as those of 2019."""
_TYPES = {"dicom": ("dicom",), "dicom and archive": ("dicom", "archive")}
"""File types for each value of the option `file_types`."""


@frozen
class _Node:
    """The record of a container; `above` are the ids of its parents by type."""

    container: Container
    label: str
    above: Mapping[str, str]
    files: tuple[Mapping[str, Any], ...]
    deleted: bool


@frozen
class Record:
    """The current metadata of a container or file. Only a file has a version and a hash."""

    info: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tags: frozenset[str] = frozenset()
    file_id: str = ""
    version: int = 0
    hash: str = ""


_File = tuple[Container, str, Mapping[str, Any]]
"""The container of a file, the path of the container, and the file's record."""


class Site:
    """Requests of a run to a Flywheel site."""

    def __init__(self, client: CoreClient, policy: RetryPolicy = ONCE) -> None:
        """Use `client` for all requests, and retry them by `policy`."""
        self._api = API(client, policy)

    def select(self, config: GearConfig) -> Selection:
        """Find the files to send: the input file, or the selected files under the destination.

        Raises ConfigError if the container cannot have acquisitions, and SiteError if a request
        fails.
        """
        chosen = config.input_file
        start = chosen.parent if chosen else config.container
        _check_level(start, "container of the file" if chosen else "destination container")
        node = self._get(start)
        parents = {
            level: self._get(Container(level, above), files=False)
            for level, above in node.above.items()
            if level != "group"
        }
        labels = [node.above["group"], *(parent.label for parent in parents.values()), node.label]
        path = "/".join(labels)
        left_out = LeftOutFiles()
        if chosen:
            entries: tuple[FileEntry, ...] = (_entry(start, path, chosen.name),)
        else:
            found = self._files_below(node, path)
            entries = tuple(_select_files(found, config, left_out))
        parent, label = start, node.label
        if start.type == "acquisition":
            session = parents["session"]
            parent, label = session.container, f"{session.label}_{node.label}"
        ids = {**node.above, start.type: start.id}
        page = self._api.session_page(ids["project"], ids["session"]) if "session" in ids else ""
        origin = Origin(Program.GEAR, path, page, printable(config.job_id))
        first = chosen.path if chosen else None
        return Selection(entries, parent, label, left_out.counted(), origin, first)

    def server(self, start: Container, name: str) -> tuple[Mapping[str, Any], str]:
        """Return what `server_in` returns for the project of a container.

        Raises ConfigError if the container cannot have acquisitions.
        """
        _check_level(start, "container of the run")
        above = self._get(start, files=False).above
        project = self._get(Container("project", above["project"]))
        files = {str(file.get("name")) for file in project.files if not file.get("deleted")}
        path = f"{above['group']}/{project.label}"
        return server_in(self._api, project.container, path, files, name)

    def image_reports(self, places: Iterable[Container]) -> list[FileEntry]:
        """Return the newest per-image reports on the containers, the newest first.

        The limits are MAX_REPORTS and MAX_REPORT_BYTES. Raises SiteError if a request fails.
        """
        records = [
            (place, record)
            for place in dict.fromkeys(places)
            if place.type in RUN_LEVELS
            for record in self._get(place).files
            if is_per_image(str(record.get("name")))
            and not record.get("deleted")
            and isinstance(record.get("size"), int)
        ]
        records.sort(key=lambda found: str(found[1].get("created")), reverse=True)
        newest = [
            _entry(place, "", record["name"], record["size"], record.get("hash"))
            for place, record in records
        ]
        totals = accumulate(entry.size or 0 for entry in newest[:MAX_REPORTS])
        reports = newest[: sum(total <= MAX_REPORT_BYTES for total in totals)]
        if more := len(newest) - len(reports):
            log.info("Ignoring %s", quantity(more, "older per-image report"))
        return reports

    @cached_property
    def _takes_signed_urls(self) -> bool:
        """Whether uploads go directly to a storage; requested from the site once."""
        config = self._api.read(dict, "GET", "/api/config")
        # Older sites have the flag outside of the features.
        return bool((config.get("features") or {}).get("signed_url") or config.get("signed_url"))

    def attach(self, container: Container, path: Path) -> None:
        """Attach a file to a container, under the file's name; raise SiteError on failure."""
        url = f"{container_url(container)}/files"
        try:
            with path.open("rb") as file:
                put = partial(self._put, url, path.name, file)
                if not (self._takes_signed_urls and with_new_urls(put)):
                    self._api.ask("POST", url, upload=file, files={"file": (path.name, file)})
        except OSError as error:
            raise SiteError(f"POST {url}: the file cannot be read: {error.strerror}") from error

    def _put(self, url: str, name: str, file: BinaryIO) -> bool:
        """Upload a file to a signed URL of the site's storage, then register it with the site.

        Returns False without an upload if the site or its storage does not support signed URLs.
        """
        metadata = {"name": name, "size": file.seek(0, SEEK_END)}
        query, body = {"ticket": ""}, {"filenames": [name], "metadata": metadata}
        kinds = (dict, list)
        try:
            answer = self._api.read(
                lambda found: found, "POST", url, kinds, params=query, json=body
            )
            ticket, target = answer["ticket"], answer["urls"][name]
        except SiteError as error:
            if error.status in NO_TICKET:
                return False
            raise
        except (KeyError, TypeError):
            return False
        headers, what = answer.get("headers") or {}, "the site's storage"
        self._api.ask("PUT", target, what=what, upload=file, headers=headers, data=file)
        self._api.ask("POST", url, params={"ticket": ticket})
        return True

    def record(self, container: Container, *file: str) -> Record:
        """Read the current metadata of a container, or of its file with a name; raise SiteError."""
        url, headers = f"{container_url(container, *file)}/info", {}
        if not file:
            url, headers = container_url(container), self._without_files
        return self._api.read(_record, "GET", url, headers=headers)

    def set_info(self, info: Mapping[str, Any], container: Container, *file: str) -> None:
        """Set top-level keys of the custom information, and keep all others; raise SiteError."""
        url = f"{container_url(container, *file)}/info"
        try:
            self._api.ask("PATCH", url, json={"set": info})
        except SiteError as error:
            if error.status not in NO_PATCH:
                raise
            self._api.ask("POST", url, json={"set": info})

    def add_tag(self, tag: str, container: Container, file_id: str = "") -> None:
        """Add a tag to a container, or to a file with an id, and keep all others; raise SiteError.

        Sites without ids of files have no such request for files.
        """
        if file_id:
            self._api.ask("PATCH", f"/api/files/{quote(file_id, safe='')}/tags", json=[tag])
            return
        try:
            self._api.ask("POST", f"{container_url(container)}/tags", json={"value": tag})
        except SiteError as error:
            if error.status != HTTPStatus.CONFLICT:  # It has the tag already.
                raise

    def _files_below(self, node: _Node, path: str) -> Iterator[_File]:
        """Yield the files of a container and of its descendants."""
        for file in node.files:
            if not file.get("deleted"):
                yield node.container, path, file
        if node.container.type != "acquisition":
            level = LEVELS[LEVELS.index(node.container.type) + 1]
            url = f"{container_url(node.container)}/{level}s"
            for child in self._api.containers(partial(_node, level), url):
                if not child.deleted:
                    yield from self._files_below(child, f"{path}/{child.label}")

    @property
    def _without_files(self) -> dict[str, str]:
        """Headers of a request for a container without its files."""
        return {"X-Accept-Feature": f"{self._api.features},Exclude-Files"}

    def _get(self, container: Container, *, files: bool = True) -> _Node:
        url, headers = container_url(container), {} if files else self._without_files
        return self._api.read(partial(_node, container.type), "GET", url, headers=headers)


def find_server(api_key: str, start: Container, name: str) -> tuple[Mapping[str, Any], str]:
    """Return what `Site.server` returns for the site of a key."""
    return Site(connect(api_key), SITE_POLICY).server(start, name)


def _check_level(start: Container, option: str) -> None:
    """Raise ConfigError for a container that cannot have acquisitions."""
    if start.type not in RUN_LEVELS:
        raise ConfigError(option, start.type, "acquisition, session or subject")


def _select_files(
    files: Iterable[_File], config: GearConfig, left_out: LeftOutFiles
) -> Iterator[FileEntry]:
    """Yield the files to send, and count the others."""
    for parent, path, record in files:
        cause = left_out_for(record, config)
        if cause is None:
            yield _entry(parent, path, record["name"], record.get("size"), record.get("hash"))
        elif cause is Exclusion.OTHER_TYPE:
            left_out.add_type(record.get("type"))
        else:
            left_out.add(cause, str(record.get("name")))


def left_out_for(record: Mapping[str, Any], config: GearConfig) -> Exclusion | None:
    """Return why a file is not selected, None if it is selected."""
    file_type = record.get("type")
    if file_type not in _TYPES[config.file_types]:
        return Exclusion.ARCHIVE if file_type == "archive" else Exclusion.OTHER_TYPE
    modalities = [modality.lower() for modality in config.modality]
    if modalities and str(record.get("modality") or "").lower() not in modalities:
        return Exclusion.MODALITY
    if config.file_tags and not {*config.file_tags} & {*(record.get("tags") or ())}:
        return Exclusion.NO_TAG
    return config.names.cause(str(record.get("name")))


def _entry(
    parent: Container, path: str, name: str, size: int | None = None, digest: str | None = None
) -> FileEntry:
    shown = printable(name)
    return FileEntry(parent, shown, f"{path}/files/{shown}", size, digest, key=name)


def _record(found: Any) -> Record:
    return Record(
        info=dict(found.get("info") or {}),
        tags=frozenset(found.get("tags") or ()),
        file_id=found.get("file_id") or "",
        version=found.get("version") or 0,
        hash=found.get("hash") or "",
    )


def _node(level: str, record: Any) -> _Node:
    parents = record["parents"]
    return _Node(
        container=Container(level, record["_id"]),
        label=printable(record.get("label") or record["_id"]),
        above={above: parents[above] for above in LEVELS[: LEVELS.index(level)]},
        files=tuple(record.get("files") or ()),
        deleted=bool(record.get("deleted")),
    )
