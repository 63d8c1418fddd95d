"""The table of the options that only `dicom-send` has."""

from functools import partial
from pathlib import Path

from ..option_types import Group, OptionType, option, options_of
from ..option_values import FILE, FILES, FOLDER, LIST, MAX_PORT, SWITCH, whole
from ..values import frozen, replace

_switch = partial(option, kind=SWITCH, default=False)
_WORD = OptionType("a server", lambda given: isinstance(given, str), metavar="SERVER")
_PORT = whole(1, MAX_PORT)
_ANY_PORT = replace(_PORT, is_valid=lambda given: given is None or _PORT.is_valid(given))


@frozen(kw_only=True)
class CommandOptions:
    """Values of the options that only `dicom-send` has."""

    server: str = option(
        Group.SERVER,
        _WORD,
        "",
        "AE@host:port, or a name in servers.toml. Same as the last argument.",
    )
    files_from: str | None = option(
        Group.FILES,
        LIST,
        None,
        "A file with one path per line; - is standard input. Relative paths start at the current "
        "folder. It can be combined with PATH.",
        brief="Read paths from a file; - is standard input",
    )
    from0: bool = _switch(Group.FILES, text="Paths in lists end with NUL, as from find -print0.")
    failed_list: Path | None = option(
        Group.FILES,
        replace(FILE, metavar="LIST"),
        None,
        "Write the paths of files that were not sent, for --files-from. With --from0, each ends "
        "with NUL.",
    )
    earlier_reports: tuple[Path, ...] = option(
        Group.PROOF,
        FILES,
        [],
        "Skip images that an earlier run has sent to the same server, according to its per-image "
        "report (..._instances.csv). `last` is the newest report about the server in the folder "
        "for reports.",
        brief="Skip images that an earlier run has sent",
        long="--resume",
        metavar="REPORT",
    )
    commit_port: int | None = option(
        Group.PROOF,
        _ANY_PORT,
        None,
        "With --verify commit: local port to listen on, for servers that report over a new "
        "association. Enter this computer's AE title, address and port on the server.",
    )
    work_folder: Path | None = option(
        Group.SENDING,
        FOLDER,
        None,
        "Folder for unpacking archives, one image at a time. Default: the system's folder for "
        "temporary files.",
    )
    report_folder: Path | None = option(
        Group.REPORTS,
        FOLDER,
        None,
        "Folder for the reports. Default: a new folder in dicom-send-reports for each run.",
        brief="Folder for reports (default: a new one)",
    )
    json: bool = _switch(
        Group.REPORTS,
        text="Print a summary as JSON on standard output at the end, also after a failure.",
        brief="Print a summary as JSON",
    )
    quiet: bool = _switch(
        Group.MESSAGES,
        text="Log only errors and the result.",
        brief="Print only errors and the result",
        short="-q",
    )
    log_json: bool = _switch(
        Group.MESSAGES,
        text="Log as JSON, one event per line: images, files, log messages, and the summary at the "
        "end.",
    )


COMMAND_OPTIONS = options_of(CommandOptions)
ROWS = {row.name: row for row in COMMAND_OPTIONS}
