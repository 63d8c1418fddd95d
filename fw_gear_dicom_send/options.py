"""The table of options. The manifests, the help of the commands and the documentation show it."""

from functools import partial
from pathlib import Path
from typing import Any

from .option_types import Group, Place, option, options_of
from .option_values import (
    AE,
    AE_OR_NONE,
    BOOLEAN,
    FILE,
    FLYWHEEL_TAG,
    HOST,
    LO,
    MAX_PORT,
    NUMBER_OR_AUTO,
    PRIVATE_GROUP,
    RATE,
    TIMETABLE,
    TLS_PROFILE,
    Auto,
    ConversionMode,
    OnConflict,
    automatic,
    choice,
    seconds,
    several,
    whole,
)
from .values import frozen

MAX_ASSOCIATIONS = 16

_files = partial(option, Group.FILES)
_server = partial(option, Group.SERVER)
_tls = partial(option, Group.TLS, BOOLEAN)
_with_tls = partial(_tls, needs="tls_enabled")
_element = partial(option, Group.ELEMENT, needs="stamp")
_sending = partial(option, Group.SENDING)
_proof = partial(option, Group.PROOF)
_reports = partial(option, Group.REPORTS, BOOLEAN)
_NOT_COMMAND = Place.GEAR | Place.BATCH
_flywheel_files = partial(option, Group.FILES, where=_NOT_COMMAND)
_downloading = partial(option, Group.SENDING, where=_NOT_COMMAND)
_PATTERNS = "Separate patterns with commas. Case is ignored."
_VALUES = "Separate values with commas. Empty: all files."


def _choosing(level: str, tag: str, example: str) -> Any:
    """Return the option of the command that selects images by study or series."""
    text = f"Select only images of this {level}: its UID, or a pattern for its description ({tag})"
    kind = several(1000, level.upper())
    return _files(kind, "", f"{text}, such as '{example}'. {_PATTERNS}", where=Place.COMMAND)


def _tls_file(text: str, ending: str = "") -> Any:
    """Return the option for a file. In a batch, it has a name with this ending."""
    rule = f" The name must end with {ending}." if ending else ""
    batch = f"{text} Give the name of a file on the session's project.{rule}"
    return option(Group.TLS, FILE, None, text, where=Place.COMMAND | Place.BATCH, batch=batch)


def _further(what: str) -> Any:
    """Return the option for a report besides the one on files."""
    return _reports(
        True,
        f"Attach {what}. Needs report.",
        command=f"Write {what}. Needs --report.",
        batch=f"Attach {what} to each session.",
        needs="report",
    )


@frozen(kw_only=True)
class Options:
    """Values of the options. Each field is a row of the table, in the order of the manifest."""

    destination: str = _server(
        HOST,
        None,
        "Host name or IP address of the DICOM server; for DICOMweb, its URL: https://host/path.",
        command="Host name, IP address or DICOMweb URL of the server, if no argument names it.",
        more="Or the name of a [server of the project](#servers-of-a-project).",
    )
    port: int = _server(whole(1, MAX_PORT), 104, "Port of the DICOM server.")
    called_ae: str = _server(
        AE_OR_NONE,
        "",
        "AE title of the DICOM server, 1 to 16 characters. Required for C-STORE.",
        short="-aec",
    )
    calling_ae: str = _server(
        AE,
        "flywheel",
        "AE title of the sender, 1 to 16 characters. The server may need to know it.",
        brief="Own AE title (default: DICOM_SEND)",
        command_default="DICOM_SEND",
        short="-aet",
    )
    project_settings: bool = _server(
        BOOLEAN,
        True,
        "Look up a destination without a dot, such as archive, in the project's dicom-send.toml.",
        where=_NOT_COMMAND,
        batch="Look up a --destination without a dot in the project's file dicom-send.toml.",
    )
    stamp: bool = option(
        Group.ELEMENT,
        BOOLEAN,
        True,
        "Add the private element to each dataset, so that Flywheel does not import it again.",
        where=Place.COMMAND,
        brief="Mark images, so that Flywheel skips them",
        command_default=False,
    )
    group: int = _element(
        PRIVATE_GROUP,
        "0x0021",
        "Group of the private element that marks a dataset as sent: an odd hexadecimal number.",
    )
    identifier: str = _element(LO, "Flywheel", "Private creator of the element (1-64 characters).")
    tag_value: str = _element(LO, "DICOM send", "Value of the private element (1-64 characters).")
    file_types: str = _flywheel_files(
        choice(("dicom", "dicom and archive")),
        "dicom",
        "Types of Flywheel files to send. Flywheel gives tar files the type archive, and zip files "
        "too unless they are named .dcm.zip or .dicom.zip.",
        more="See [File selection](#file-selection).",
    )
    include: tuple[str, ...] = _files(
        several(1000, "GLOB"),
        "",
        "Send only files whose names match one of these patterns, such as '*.dcm.zip, t1*.zip'. "
        f"{_PATTERNS} Empty: all files.",
        command="In folders, select only files whose names match one of these patterns, such as "
        f"'*.dcm'. {_PATTERNS}",
        brief="Send only files with matching names: '*.dcm'",
    )
    exclude: tuple[str, ...] = _files(
        several(1000, "GLOB"),
        "",
        f"Skip files whose names match one of these patterns. {_PATTERNS}",
        command=f"In folders, skip files whose names match one of these patterns. {_PATTERNS}",
        brief="Skip files with matching names",
    )
    modality: tuple[str, ...] = _files(
        several(200, "MODALITY"),
        "",
        f"Send only files of this modality, such as MR. {_VALUES}",
        command=f"Select only images of this modality (0008,0060), such as MR. {_VALUES}",
        brief="Send only images of a modality: MR,CT",
    )
    study: tuple[str, ...] = _choosing("study", "0008,1030", "brain*")
    series: tuple[str, ...] = _choosing("series", "0008,103E", "*t1*")
    file_tags: tuple[str, ...] = _flywheel_files(
        several(1000, "TAG"), "", f"Send only files with one of these Flywheel tags. {_VALUES}"
    )
    downloads: int = _downloading(
        whole(1, 16),
        4,
        "Number of parallel downloads from Flywheel (1-16).",
        more="Disk space is bounded: see [Threads and bounds](architecture.md#threads-and-bounds).",
    )
    conversion: ConversionMode = _sending(
        choice(ConversionMode),
        "when needed",
        "When to change the transfer syntax of images. when needed: if the server does not accept "
        "the original. never: such images fail. uncompressed: send all images uncompressed. "
        "lossless: compress images without loss (JPEG-LS or JPEG 2000), for slow links.",
    )
    bandwidth_limit: float | str = _sending(
        RATE,
        0,
        "Maximum rate of all associations together, in MB/s (0.1 or more). 0: no limit.",
        command="Maximum rate of all associations together, in MB/s (0.1 or more), or a timetable "
        "in local time: '08:00 2, 18:00 off', 'Mon-07:00 2, Fri-19:00 off'. 0: no limit.",
        command_type=TIMETABLE,
    )
    on_conflict: OnConflict = _sending(
        choice(OnConflict),
        "report",
        "Handling of an image that a DICOMweb server has and does not overwrite. report: leave the "
        "existing image. replace: replace it, by PUT (Azure), or by DELETE and POST (Google).",
    )
    sent_tag: str = _downloading(
        FLYWHEEL_TAG,
        "dicom-send",
        "Flywheel tag for the input file or the container if all images were sent. Empty: no tag.",
    )
    file_download_retry_time: float = _downloading(
        seconds(),
        60,
        "Maximum time, in seconds, to keep retrying failed downloads at the end of the run. Also "
        "the maximum wait for a site that does not respond.",
    )
    send_retry_time: float = _sending(
        seconds(),
        300,
        "Maximum time, in seconds, to keep retrying when the server is unreachable or out of "
        "resources. Each accepted image restarts this time.",
    )
    response_timeout: float = _sending(
        seconds(1),
        300,
        "Maximum time, in seconds, to wait for the server's response to an image. This time does "
        "not count towards send_retry_time.",
    )
    associations: int = _sending(
        automatic(MAX_ASSOCIATIONS),
        0,
        "Number of parallel associations (1-16). 0: automatic, up to 4 with a server nearby, and "
        "up to 16 while more raise the rate. If the server allows fewer, those are used. With 1, "
        "images are sent in order.",
        brief="Parallel associations, 1 to 16 (default: auto)",
        short="-j",
    )
    images_per_request: int | Auto = _sending(
        NUMBER_OR_AUTO,
        "auto",
        "Maximum number of images of a study in a request to a DICOMweb server: auto, or 1 to 100. "
        "auto: 1, or 20 if the server takes long to answer. Images over 1 MiB are sent alone. With "
        "more than 1, images of a file are not sent in order.",
        more="See [Distant servers](dicomweb.md#distant-servers).",
    )
    max_images_per_association: int = _sending(
        whole(0, 1_000_000, zero="no limit"),
        0,
        "Maximum number of images per association, for servers that limit it. It splits studies: "
        "see association_per_study. 0: no limit.",
    )
    association_per_study: bool = _sending(
        BOOLEAN,
        False,
        "Send each study over one association of its own, for archives that take the end of an "
        "association for the end of a study. All files are read before the first image is sent.",
        more="The files of a session are on disk together. Many studies in one folder take long.",
    )
    tls_enabled: bool = _tls(
        False,
        "Encrypt all connections to the server with TLS. Add the inputs key and cert if the server "
        "asks for a certificate.",
        command="Use TLS for all connections. Add --key and --cert if the server asks for them.",
        batch="Use TLS for all connections. Add --key and --cert if the server asks for them.",
        brief="Use TLS; see --key, --cert, --add-cert-file",
    )
    tls_security_profile: str = option(
        Group.TLS,
        TLS_PROFILE,
        "BCP 195",
        "Profile of DICOM PS3.15 that selects the cipher suites. All need TLS 1.2 or later.",
        needs="tls_enabled",
    )
    tls_require_peer_cert: bool = _with_tls(
        True,
        "Send only to a server whose certificate is signed by a trusted CA: a public one, or one "
        "in add_cert_file. If false, any certificate is accepted.",
    )
    tls_check_hostname: bool = _with_tls(
        False,
        "With add_cert_file, also check that the server's certificate matches its name or "
        "address. Certificates of public CAs are always checked.",
    )
    identity_without_tls: bool = _tls(
        False,
        "Allow sending the user identity, or the authorization for DICOMweb, unencrypted, without "
        "TLS. If false, the run stops instead.",
    )
    key: Path | None = _tls_file("Private key for TLS, an unencrypted PEM file.")
    cert: Path | None = _tls_file("Certificate for TLS, a PEM file, with its chain if it has one.")
    add_cert_file: Path | None = _tls_file(
        "A PEM file with additional CA certificates to trust. Needed if the server's certificate "
        "is not signed by a public CA."
    )
    identity: Path | None = _tls_file(
        "A JSON file with a user identity for the server: username, username and password, jwt, "
        "saml or kerberos.",
        "identity.json",
    )
    authorization: Path | None = _tls_file(
        "A JSON file with credentials for a DICOMweb server: username and password, token, OAuth2 "
        "client, headers, or a service-account key of Google.",
        "authorization.json",
    )
    report: bool = _reports(
        True,
        "Write and attach a report with a row for each file (CSV). If false, the three other "
        "reports are off too.",
        where=Place.GEAR | Place.COMMAND,
        command="Write a report with a row for each folder and archive (CSV). Without it, the "
        "three other reports are off too.",
        brief="Write no reports",
    )
    instance_report: bool = _further("a report with a row for each image (CSV)")
    html_report: bool = _further("a page with the results of the run (HTML)")
    summary_report: bool = _further("a summary of the run for programs (JSON)")
    show_member_names: bool = _reports(
        False,
        "Show the names of archive members in the log and the per-image report. These names may "
        "identify patients. If false, members appear by number.",
    )
    verify: str = _proof(
        choice(("none", "find", "commit", "content")),
        "none",
        "Confirm delivery after sending. find: query the server (C-FIND or QIDO-RS) and resend "
        "missing images; by UID only. commit: request storage commitment (C-STORE only). content: "
        "retrieve and compare each image (DICOMweb only). The run fails (the command with exit "
        "code 4) if an image is not confirmed.",
        brief="Check delivery after sending",
        more="See [Proof of delivery](#proof-of-delivery).",
    )
    skip_existing: bool = _proof(
        BOOLEAN,
        False,
        "Query the server first (C-FIND or QIDO-RS), and send only missing images.",
        brief="Send only missing images",
    )
    query_ae: str = _proof(
        AE_OR_NONE,
        "",
        "AE title of the server for C-FIND and storage commitment. Empty: same as called_ae.",
    )
    query_port: int = _proof(
        whole(0, MAX_PORT),
        0,
        "Port of the server for C-FIND and storage commitment. 0: same as port.",
    )
    resume: bool = _proof(
        BOOLEAN,
        False,
        "Skip images that an earlier run has sent to the same server, according to the newest "
        "per-image reports on the session. Works without C-FIND.",
        where=_NOT_COMMAND,
        more="See [resume](#resume).",
    )
    dry_run: bool = _proof(
        BOOLEAN,
        False,
        "Do everything except sending. The log, the page and the per-image report list the images "
        "to send, convert or skip.",
        brief="Do everything except sending",
        short="-n",
    )
    debug: bool = option(
        Group.MESSAGES,
        BOOLEAN,
        False,
        "Log details: associations, presentation contexts, images, waits, downloads. Also write "
        "the log to a file in the output folder.",
        command="Log details: associations, presentation contexts, images, waits.",
        brief="Log in detail",
        short="-v",
    )


OPTIONS = options_of(Options)
