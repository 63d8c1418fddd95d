"""Changes jobs one by one; a rejected change does not stop the others."""

import logging
from collections.abc import Callable, Iterable

from ..errors import SiteError
from ..models import Container
from .models import Job

log = logging.getLogger(__name__)


def change_each(
    jobs: Iterable[Job],
    change: Callable[[str], object],
    failure: str,
    label: Callable[[Container], str],
) -> int:
    """Change each job by its id, and return the number of failures.

    Each failure is logged with `failure` and the session, whose label `label` returns.
    """
    failures = 0
    for job in jobs:
        try:
            change(job.id)
        except SiteError as exc:
            failures += 1
            log.error("%s: %s: %s", label(job.container), failure, exc)
    return failures
