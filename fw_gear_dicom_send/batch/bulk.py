"""Changes jobs one by one; one that the site refuses does not hold up the others."""

import logging
from collections.abc import Callable, Iterable

from ..errors import SiteError
from ..models import Container
from .models import Job

log = logging.getLogger(__name__)


def change_each(
    jobs: Iterable[Job],
    change: Callable[[str], object],
    told: str,
    label: Callable[[Container], str],
) -> int:
    """Change each job by its id, and return how many the site refused.

    Of these it is `told` what became of the session, of which `label` returns the label.
    """
    refused = 0
    for job in jobs:
        try:
            change(job.id)
        except SiteError as exc:
            refused += 1
            log.error("%s: %s: %s", label(job.container), told, exc)
    return refused
