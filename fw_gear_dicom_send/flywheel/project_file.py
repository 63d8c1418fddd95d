"""The file `dicom-send.toml` of a project, which names servers."""

import logging
from collections.abc import Container as Names
from collections.abc import Mapping
from typing import Any

from ..models import Container
from ..project_settings import FILE_NAME, MAX_BYTES, server_options
from .api import API, container_url

log = logging.getLogger(__name__)


def server_in(
    api: API, project: Container, path: str, files: Names[str], name: str
) -> tuple[Mapping[str, Any], str]:
    """Return the options of a server in the file of a project, and the place that has them.

    `path` and `files` are those of the project. Both results are empty if the file or the server
    is missing: the name is that of a host. Raises ConfigError for an invalid file, and SiteError.
    """
    place = f"{FILE_NAME} of project {path}"
    if FILE_NAME not in files:
        log.info("%s is a host name: there is no %s", name, place)
        return {}, ""
    content = api.ask("GET", container_url(project, FILE_NAME), limit=MAX_BYTES)
    if options := server_options(content, name, place):
        return options, f"[{name}] in {place}"
    log.info("%s is a host name: there is no [%s] in %s", name, name, place)
    return {}, ""
