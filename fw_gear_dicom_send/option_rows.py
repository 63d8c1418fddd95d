"""What rows of the table of options have in common."""

from functools import partial
from typing import Any

from .option_types import Group, Place, option
from .option_values import BOOLEAN, FILE, several

files = partial(option, Group.FILES)
server = partial(option, Group.SERVER)
tls = partial(option, Group.TLS, BOOLEAN)
with_tls = partial(tls, needs="tls_enabled")
element = partial(option, Group.ELEMENT, needs="stamp")
sending = partial(option, Group.SENDING)
proof = partial(option, Group.PROOF)
reports = partial(option, Group.REPORTS)
NOT_COMMAND = Place.GEAR | Place.BATCH
flywheel_files = partial(option, Group.FILES, where=NOT_COMMAND)
downloading = partial(option, Group.SENDING, where=NOT_COMMAND)
PATTERNS = "Separate patterns with commas. Case is ignored."
VALUES = "Separate values with commas. Empty: all files."


def choosing(level: str, tag: str, example: str) -> Any:
    """Return the option of the command that selects images by study or series."""
    text = f"Select only images of this {level}: its UID, or a pattern for its description ({tag})"
    kind = several(1000, level.upper())
    return files(kind, "", f"{text}, such as '{example}'. {PATTERNS}", where=Place.COMMAND)


def tls_file(text: str, ending: str = "") -> Any:
    """Return the option for a file. In a batch, it has a name with this ending."""
    rule = f" The name must end with {ending}." if ending else ""
    batch = f"{text} Give the name of a file on the session's project.{rule}"
    return option(Group.TLS, FILE, None, text, where=Place.COMMAND | Place.BATCH, batch=batch)
