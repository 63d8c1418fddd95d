"""Marks of a run on Flywheel: a tag, a summary for each destination, and a QC result.

Requests that set one key or add one tag keep what other gears write in the meantime. The engine
writes what the site refuses to the gear: it replaces all tags, and all custom information.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from .. import __version__
from ..account import Account
from ..config import GearConfig
from ..errors import SiteError
from ..mark_key import mark_key
from ..models import Container, InputFile
from ..values import frozen
from .site import Record, Site

log = logging.getLogger(__name__)

QC_NAME = "dicom-send"
"""Key of the gear in `info.qc`. The gear for gear rules has the same one."""


class Metadata(Protocol):
    """Collector for `.metadata.json`, like `Metadata` of flywheel-gear-toolkit.

    The engine applies that file with its own permissions, so a read-only API key is enough.
    """

    def update_container(self, container_type: str, /, **values: Any) -> None:
        """Set values of the job's destination or of one of its parents."""


@frozen
class AttachedReport:
    """A report on a container. If it is not there, the engine attaches it after the run."""

    container: Container
    name: str
    is_there: bool = True


@frozen
class Marks:
    """Marks of a run that selected its files at the time `started`."""

    site: Site
    metadata: Metadata
    config: GearConfig
    account: Account
    started: datetime

    def write(self, job_info: Mapping[str, Any], report: AttachedReport | None) -> None:
        """Mark the input file, or else the destination, and set a QC result.

        The QC result is on the input file or, as sites show those of files, on the report.
        """
        chosen, container = self.config.input_file, self.config.container
        if not (self.config.sent_info or self._tag):
            return
        try:
            if chosen:
                self._change(
                    lambda record: self._summary(record) | self._qc_result(record, job_info),
                    self._tag,
                    chosen.parent,
                    chosen.name,
                )
                return
            self._change(self._summary, self._tag, container)
            if report and self.config.sent_info:
                self._add_qc_result(report, job_info)
        except (SiteError, OSError) as error:
            log.warning("Cannot mark all that was sent: %s", error)

    def _add_qc_result(self, report: AttachedReport, job_info: Mapping[str, Any]) -> None:
        place = report.container, report.name
        if report.is_there:
            self._change(lambda record: self._qc_result(record, job_info), "", *place)
        else:
            self._leave_to_engine({"info": self._qc_result(Record(), job_info)}, *place)

    def _record(self, container: Container, *file: str) -> Record | None:
        """Return the current record; None for an input file that was replaced."""
        record, chosen = self.site.record(container, *file), self.config.input_file
        if not chosen or _is_same(chosen, record):
            return record
        log.warning(
            "The file %s was replaced during the run. Its new version was not sent, and is not "
            "marked",
            chosen.name,
        )
        return None

    @property
    def _tag(self) -> str:
        """The tag, empty for none. Options that choose files leave others of the container out."""
        is_whole = self.config.selection.keys() <= {"file_types"}
        return self.config.sent_tag if self.account.is_success and is_whole else ""

    def _summary(self, record: Record) -> dict[str, Any]:
        """Return the summary under the key of its destination; it keeps the last success."""
        if not self.config.sent_info:
            return {}
        account, config = self.account, self.config
        key, facts = mark_key(*config.server.key), config.server.facts
        names = ("url",) if "url" in facts else ("called_ae", "host", "port")
        result = {
            "started": self.started.isoformat(timespec="milliseconds"),
            "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "job": config.job_id,
            "sent": account.sent,
            "selection": config.selection,
        }
        before = record.info.get(key)
        complete = result if account.is_success else None
        if not complete and isinstance(before, dict):
            complete = before.get("complete")
        summary = {
            **{name: facts[name] for name in names},
            "state": account.status.value,
            "images": account.images,
            "already_there": account.already_stored,
            "duplicates": account.duplicates,
            "version": __version__,
            **result,
        }
        return {key: {**summary, "complete": complete} if complete else summary}

    def _qc_result(self, record: Record, job_info: Mapping[str, Any]) -> dict[str, Any]:
        """Return the QC results with that of this gear, in the form of flywheel-gear-toolkit."""
        others = record.info.get("qc") or {}
        if not (self.config.sent_info and isinstance(others, dict)):
            return {}
        account = self.account
        stored = account.sent + account.already_stored + account.duplicates
        result = {
            "state": "PASS" if account.is_success else "FAIL",
            "data": f"{stored} of {account.images} images are on {self.config.server.label}",
        }
        return {"qc": {**others, QC_NAME: {"job_info": job_info, "images_sent": result}}}

    def _change(
        self,
        keys: Callable[[Record], Mapping[str, Any]],
        tag: str,
        container: Container,
        *file: str,
    ) -> None:
        """Set the `keys` of the custom information and add a tag, through the engine if need be."""
        record = self._record(container, *file)
        if not record:
            return
        info, is_tagged = keys(record), not tag or tag in record.tags
        try:
            if info:
                self.site.set_info(info, container, *file)
                info = {}
            if not is_tagged and (record.file_id or not file):
                self.site.add_tag(tag, container, record.file_id)
                is_tagged = True
        except SiteError as error:
            log.info("%s. The engine sets tag and summary after the run", error)
            # The tries may have taken minutes, and the engine replaces what others wrote.
            record = self._record(container, *file)
        changes: dict[str, Any] = {}
        if record and info:
            changes["info"] = {**record.info, **keys(record)}
        if record and not is_tagged and tag not in record.tags:
            changes["tags"] = sorted({*record.tags, tag})
        if changes:
            self._leave_to_engine(changes, container, *file)

    def _leave_to_engine(self, values: dict[str, Any], container: Container, *file: str) -> None:
        """Let the engine set values, which it does only at the job's destination."""
        if container != self.config.container:
            what = file[0] if file else f"the {container.type}"
            log.warning("Cannot mark %s: the job's destination is another container", what)
            return
        if file:
            values = {"files": [{"name": file[0], **values}]}
        self.metadata.update_container(container.type, **values)


def _is_same(file: InputFile, record: Record) -> bool:
    """Return whether a record describes the content of the input file."""
    of_job, of_site = (file.file_id, file.version), (record.file_id, record.version)
    if all(of_job) and of_job == of_site:
        return True
    with file.path.open("rb") as content:
        return record.hash == f"v0-sha384-{hashlib.file_digest(content, 'sha384').hexdigest()}"
