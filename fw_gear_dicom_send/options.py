"""The table of options. The manifests, the help of the commands and the documentation show it."""

from pathlib import Path

from . import option_rows as row
from .option_types import Group, Place, option, options_of
from .option_values import (
    AE,
    AE_OR_NONE,
    BOOLEAN,
    FLYWHEEL_TAG,
    HOST,
    LO,
    MAX_PORT,
    NUMBER_OR_AUTO,
    PRIVATE_GROUP,
    RATE,
    REPORT_FILES,
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
from .report_names import Report
from .values import frozen

MAX_ASSOCIATIONS = 16


@frozen(kw_only=True)
class Options:
    """Values of the options. Each field is a row of the table, in the order of the manifest.

    Options that most users need come first. A description begins with the reason to change it.
    """

    destination: str = row.server(
        HOST,
        None,
        "Always set this: the host name or IP address of the DICOM server; for DICOMweb, its URL: "
        "https://host/path.",
        command="Host name, IP address or DICOMweb URL of the server, if no argument names it.",
        more="Or the name of a [server of the project](#servers-of-a-project).",
    )
    port: int = row.server(
        whole(1, MAX_PORT), 104, "Change this if the server does not listen on port 104."
    )
    called_ae: str = row.server(
        AE_OR_NONE,
        "",
        "Always set this for C-STORE: the AE title of the DICOM server, 1 to 16 characters.",
        short="-aec",
    )
    calling_ae: str = row.server(
        AE,
        "flywheel",
        "Change this if the server knows the sender by another AE title, 1 to 16 characters.",
        brief="Own AE title (default: DICOM_SEND)",
        command_default="DICOM_SEND",
        short="-aet",
    )
    dry_run: bool = row.proof(
        BOOLEAN,
        False,
        "Turn this on for a first test: everything is done except sending. The log, the page and "
        "the per-image report list the images to send, convert or skip.",
        brief="Do everything except sending",
        short="-n",
    )
    verify: str = row.proof(
        choice(("none", "find", "commit", "content")),
        "none",
        "Set this if you need proof of delivery. find: query the server (C-FIND or QIDO-RS) and "
        "resend missing images; by UID only. commit: request storage commitment (C-STORE only). "
        "content: retrieve and compare each image (DICOMweb only). The run fails (the command with "
        "exit code 4) if an image is not confirmed.",
        brief="Check delivery after sending",
        more="See [Proof of delivery](#proof-of-delivery).",
    )
    file_types: str = row.flywheel_files(
        choice(("dicom", "dicom and archive")),
        "dicom",
        "Change this if archives have another type than dicom. Flywheel gives tar files the type "
        "archive, and zip files too unless they are named .dcm.zip or .dicom.zip.",
        more="See [File selection](#file-selection).",
    )
    include: tuple[str, ...] = row.files(
        several(1000, "GLOB"),
        "",
        "Set this to send only files whose names match one of these patterns, such as "
        f"'*.dcm.zip, t1*.zip'. {row.PATTERNS} Empty: all files.",
        command="In folders, select only files whose names match one of these patterns, such as "
        f"'*.dcm'. {row.PATTERNS}",
        brief="Send only files with matching names: '*.dcm'",
    )
    exclude: tuple[str, ...] = row.files(
        several(1000, "GLOB"),
        "",
        f"Set this to skip files whose names match one of these patterns. {row.PATTERNS}",
        command=f"In folders, skip files whose names match one of these patterns. {row.PATTERNS}",
        brief="Skip files with matching names",
    )
    modality: tuple[str, ...] = row.files(
        several(200, "MODALITY"),
        "",
        f"Set this to send only files of some modalities, such as MR. {row.VALUES}",
        command=f"Select only images of this modality (0008,0060), such as MR. {row.VALUES}",
        brief="Send only images of a modality: MR,CT",
    )
    study: tuple[str, ...] = row.choosing("study", "0008,1030", "brain*")
    series: tuple[str, ...] = row.choosing("series", "0008,103E", "*t1*")
    file_tags: tuple[str, ...] = row.flywheel_files(
        several(1000, "TAG"),
        "",
        f"Set this to select files by Flywheel tags. {row.VALUES}",
    )
    skip_existing: bool = row.proof(
        BOOLEAN,
        False,
        "Turn this on to repeat a run: the server is queried first (C-FIND or QIDO-RS), and only "
        "missing images are sent.",
        brief="Send only missing images",
    )
    resume: bool = row.proof(
        BOOLEAN,
        False,
        "Turn this on to repeat a run if the server answers no queries. Images that an earlier run "
        "has sent to the same server are skipped, according to the newest per-image reports on the "
        "session.",
        where=Place.GEAR | Place.BATCH,
        more="See [resume](#resume).",
    )
    associations: int = row.sending(
        automatic(MAX_ASSOCIATIONS),
        0,
        "Set this if the site limits the number of parallel associations (1-16). 0: automatic, up "
        "to 4 with a server nearby, and up to 16 while more raise the rate. If the server allows "
        "fewer, those are used. With 1, images are sent in order.",
        brief="Parallel associations, 1 to 16 (default: auto)",
        short="-j",
    )
    downloads: int = row.downloading(
        automatic(16),
        0,
        "Change this if downloads are too slow, or too many for the site: the number of parallel "
        "downloads (1-16). 0: automatic, 4 at first, and up to 16 for small files.",
        more="Disk space is bounded: see [Threads and bounds](architecture.md#threads-and-bounds).",
    )
    bandwidth_limit: float | str = row.sending(
        RATE,
        0,
        "Set this if others need the network, too: the maximum rate of all associations together, "
        "in MB/s (0.1 or more). 0: no limit.",
        command="Maximum rate of all associations together, in MB/s (0.1 or more), or a timetable "
        "in local time: '08:00 2, 18:00 off', 'Mon-07:00 2, Fri-19:00 off'. 0: no limit.",
        command_type=TIMETABLE,
    )
    images_per_request: int | Auto = row.sending(
        NUMBER_OR_AUTO,
        "auto",
        "Set this if a DICOMweb server limits the number of images in a request: auto, or 1 to 100 "
        "images of a study. auto: 1, or 20 if the server takes long to answer. Images over 1 MiB "
        "are sent alone. With more than 1, images of a file are not sent in order.",
        more="See [Distant servers](dicomweb.md#distant-servers).",
    )
    tls_enabled: bool = row.tls(
        False,
        "Turn this on if the server expects TLS: all connections are encrypted. Add the inputs key "
        "and cert if the server asks for a certificate.",
        command="Use TLS for all connections. Add --key and --cert if the server asks for them.",
        batch="Use TLS for all connections. Add --key and --cert if the server asks for them.",
        brief="Use TLS; see --key, --cert, --add-cert-file",
    )
    tls_security_profile: str = option(
        Group.TLS,
        TLS_PROFILE,
        "BCP 195",
        "Change this if the server needs another profile of DICOM PS3.15, which selects the cipher "
        "suites. All need TLS 1.2 or later.",
        needs="tls_enabled",
    )
    tls_require_peer_cert: bool = row.with_tls(
        True,
        "Turn this off only for tests: any certificate of the server is then accepted. If true, it "
        "must be signed by a trusted CA: a public one, or one in add_cert_file.",
    )
    tls_check_hostname: bool = row.with_tls(
        False,
        "Turn this on with add_cert_file, to check that the server's certificate matches its name "
        "or address. Certificates of public CAs are always checked.",
    )
    identity_without_tls: bool = row.tls(
        False,
        "Turn this on only if the network is safe: the user identity, or the authorization for "
        "DICOMweb, is then sent without TLS. If false, the run stops instead.",
    )
    key: Path | None = row.tls_file("Private key for TLS, an unencrypted PEM file.")
    cert: Path | None = row.tls_file("Certificate for TLS, a PEM file, with its chain if any.")
    add_cert_file: Path | None = row.tls_file(
        "A PEM file with additional CA certificates to trust. Needed if the server's certificate "
        "is not signed by a public CA."
    )
    identity: Path | None = row.tls_file(
        "A JSON file with a user identity for the server: username, username and password, jwt, "
        "saml or kerberos.",
        "identity.json",
    )
    authorization: Path | None = row.tls_file(
        "A JSON file with credentials for a DICOMweb server: username and password, token, OAuth2 "
        "client, headers, or a service-account key of Google.",
        "authorization.json",
    )
    report_files: tuple[Report, ...] = row.reports(
        REPORT_FILES,
        "files, images, page, summary",
        "Change this if fewer reports are enough: files or images (CSV, a row for each), page "
        "(HTML), summary (JSON), or none. resume needs images.",
        batch="Change this if fewer reports are enough: files, images (CSV), page (HTML), summary "
        "(JSON). A batch needs files, and finds causes in summary.",
        brief="Reports to write, such as page; or none",
    )
    sent_tag: str = row.downloading(
        FLYWHEEL_TAG,
        "dicom-send",
        "Change this if another Flywheel tag suits your site. The input file or the container gets "
        "it if all images were sent. Empty: no tag.",
    )
    sent_info: bool = row.downloading(
        BOOLEAN,
        True,
        "Turn this off if sent data must keep its custom information: no summary and no QC result "
        "is then written.",
    )
    show_member_names: bool = row.reports(
        BOOLEAN,
        False,
        "Turn this on to show the names of archive members in the log and the per-image report. "
        "These names may identify patients. If false, members appear by number.",
    )
    conversion: ConversionMode = row.sending(
        choice(ConversionMode),
        "when needed",
        "Change this for a slow link, or a server that needs uncompressed images. when needed: "
        "convert images if the server does not accept the original. never: such images fail. "
        "uncompressed: send all images uncompressed. lossless: compress images without loss "
        "(JPEG-LS or JPEG 2000).",
    )
    on_conflict: OnConflict = row.sending(
        choice(OnConflict),
        "report",
        "Set this to correct images on a DICOMweb server that does not overwrite them. report: "
        "leave the existing image. replace: replace it, by PUT (Azure), or by DELETE and POST "
        "(Google).",
    )
    association_per_study: bool = row.sending(
        BOOLEAN,
        False,
        "Turn this on if the archive takes the end of an association for the end of a study. Each "
        "study has one association of its own. All files are read before the first image is sent.",
        more="The files of a session are on disk together. Many studies in one folder take long.",
    )
    max_images_per_association: int = row.sending(
        whole(0, 1_000_000, zero="no limit"),
        0,
        "Set this if the server limits the number of images per association. It splits studies: "
        "see association_per_study. 0: no limit.",
    )
    send_retry_time: float = row.sending(
        seconds(),
        300,
        "Raise this if the server is often unreachable or out of resources: the maximum time, in "
        "seconds, to keep retrying. Each accepted image restarts this time.",
    )
    response_timeout: float = row.sending(
        seconds(1),
        300,
        "Raise this if the server takes long to store an image: the maximum time, in seconds, to "
        "wait for its response. This time does not count towards send_retry_time.",
    )
    file_download_retry_time: float = row.downloading(
        seconds(),
        60,
        "Raise this if downloads fail: the maximum time, in seconds, to keep retrying at the end "
        "of the run. Also the maximum wait for a site that does not respond.",
    )
    project_settings: bool = row.server(
        BOOLEAN,
        True,
        "Turn this off if the project's file dicom-send.toml must not name the server, as such a "
        "file can redirect patient data.",
        where=row.NOT_COMMAND,
    )
    debug: bool = option(
        Group.MESSAGES,
        BOOLEAN,
        False,
        "Turn this on to find a fault. The log then has details: associations, presentation "
        "contexts, images, waits, downloads. It is also written to a file in the output folder.",
        command="Log details: associations, presentation contexts, images, waits.",
        brief="Log in detail",
        short="-v",
    )
    query_ae: str = row.proof(
        AE_OR_NONE,
        "",
        "Set this if another AE of the archive answers C-FIND and storage commitment. Empty: same "
        "as called_ae.",
    )
    query_port: int = row.proof(
        whole(0, MAX_PORT),
        0,
        "Set this if another port of the archive answers C-FIND and storage commitment. 0: same as "
        "port.",
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
    group: int = row.element(
        PRIVATE_GROUP,
        "0x0021",
        "Change this only if the Flywheel connector looks for its private element in another "
        "group: an odd hexadecimal number.",
    )
    identifier: str = row.element(
        LO,
        "Flywheel",
        "Change this only if the connector looks for another private creator (1-64 characters).",
    )
    tag_value: str = row.element(
        LO,
        "DICOM send",
        "Change this only if the connector looks for another value of the element (1-64 "
        "characters).",
    )


OPTIONS = options_of(Options)
