"""Wording of messages that several tests look for, each in one place.

Where the program has a kind, a code or a number, tests assert that. They use this wording where
only the message says which case it is, and in output of the gear and the commands.
"""

from fw_gear_dicom_send.reasons import Kind


def lead(kind: Kind) -> str:
    """Return the text of a kind up to its detail."""
    return kind.template.partition("{}")[0].rstrip(" :")


# Reasons
ACCEPTED = lead(Kind.CONVERTED)
ALREADY_SENT = lead(Kind.DUPLICATE_UID)
ARCHIVE_CORRUPT = Kind.CORRUPT_ARCHIVE.template
CANNOT_CONVERT = lead(Kind.NOT_CONVERTIBLE)
CONNECTION_LOST = lead(Kind.CONNECTION_LOST)
DATASET_UNREADABLE = lead(Kind.DATASET_UNREADABLE)
DISK_FULL = Kind.NO_SPACE.template
FILE_TRUNCATED = lead(Kind.TRUNCATED)
FILE_UNOPENED = lead(Kind.UNOPENED_FILE)
GIVEN_UP = lead(Kind.GIVEN_UP)
IMAGE_TOO_LARGE = lead(Kind.IMAGE_TOO_LARGE)
MEMBER_CORRUPT = Kind.CORRUPT_MEMBER.template
NEITHER = Kind.UNKNOWN_TYPE.template
NEITHER_BUT = lead(Kind.OTHER_FORMAT)
NOT_ACCEPTED = lead(Kind.NOT_ACCEPTED)
NOT_COMMITTED = Kind.NOT_COMMITTED.template
NOT_CONVERTED = lead(Kind.NOT_CONVERTED)
NOT_READ = lead(Kind.NOT_READ)
NOT_REACHED = Kind.NOT_REACHED.template
NOT_REPORTED = lead(Kind.NO_COMMITMENT_REPORT)
NOT_STORED = Kind.NOT_STORED.template
NOT_SUPPORTED = lead(Kind.NOT_OFFERED)
NOT_VERIFIED = Kind.NOT_VERIFIED.template
NO_ANSWER_WITHIN = lead(Kind.NO_ANSWER)
NO_IMAGE = Kind.NO_IMAGE.template
NO_PIXEL_DATA = Kind.NO_PIXEL_DATA.template
OTHER_REASONS = Kind.OTHER.template
PIXEL_DATA_IS = lead(Kind.PIXEL_DATA_ENCODING)
NO_INSTANCE_UID = Kind.MISSING_UID.template.format("SOP Instance UID")
REPLACED = Kind.REPLACED.template
SENT_EARLIER = Kind.SENT_EARLIER.template

# Options and files
ALLOWED = "was given; allowed"
PORT_NUMBER = "a whole number from 1 to 65535"
AE_TITLE = "1 to 16 ASCII characters"
ODD_GROUP = "an odd group"
HOST_NAME = "a host name"
WITH_TLS = "with tls_enabled, or"
KEY_NEEDS_CERT = "a PEM file, because key and cert need each other"
FILE_NOT_FOUND = "file not found"
NO_FILE = "no file was found"
NOTHING_TO_SEND = "Nothing to send"
NONE_SELECTED = "Nothing to send: none of the {} files found is selected"
OTHERS_CAN_READ = "other users can read"
WRITE_THE_SERVER_AS = "write the server as"
NO_INCLUDE = "not matched by include"
EXCLUDED = "matched by exclude"
NOT_COUNTED = "not counted"
OTHER_TYPES = "of other types"
OF_TYPE_ARCHIVE = "of type archive"

# Associations
CANNOT_CONNECT = "cannot connect to"
REJECTED = "rejected the association"
UNKNOWN_CALLED_AE = "it does not know the called AE title"
UNKNOWN_CALLING_AE = "it does not know the calling AE title"
LIMIT_REACHED = "its limit of associations is reached"
CONGESTED = "it is temporarily congested"
OTHER_CONTEXT_NAME = "it does not support the DICOM application context"
NO_REASON = "it gives no reason"
NO_VALID_ANSWER = "sent no valid answer to the association request"
BEFORE_THE_ANSWER = "before the answer to a request"
DURING_A_REQUEST = "during a request"
CHECK_TITLES = "check called_ae and calling_ae, and that the server knows both"
CHECK_DICOM = "check that a DICOM server uses destination and port, and whether it requires TLS"
CHECK_ADDRESS = (
    "check destination and port, that the server runs, and that no firewall blocks the connection"
)
CHECK_LIMIT = "try again later, or have the server's limit of associations raised"
RETRYING = "Retrying for up to"
WITHOUT_STORED_IMAGE = "without a stored image"
NO_ABSTRACT_SYNTAX = "abstract syntax not supported"
UNKNOWN_MEANING = "of unknown meaning"
FIND_FAILED = "the server answered the C-FIND with status"
STUDY_ROOT = "C-FIND (Study Root)"
RELEASED = "this side released it"
SERVER_ABORTED = "the server aborted it"
LOST_WHILE_SENDING = "lost while sending (after"

# TLS
TLS_PORT = "check port (usually 2762 for TLS), and that the server accepts TLS on it"
NO_TLS = "the server does not speak TLS"
NO_TLS_VERSION = "the server supports neither TLS 1.2 nor, if the profile allows it, TLS 1.3"
ENABLE_A_VERSION = (
    "have a current version enabled on the server, or choose another tls_security_profile"
)
NOTHING_IN_COMMON = "server and client have no TLS version or cipher suite in common"
OTHER_PROFILE = (
    "choose another tls_security_profile, or have TLS 1.2 or 1.3 with AES-GCM and ECDHE enabled on "
    "the server"
)
NO_HANDSHAKE = "no answer to the TLS handshake"
NOT_TRUSTED = "the server's certificate is not trusted"
ADD_ITS_CA = "set add_cert_file to the certificate of its CA, or to its own certificate"
OTHER_NAME = "the name in the server's certificate does not match its host name"
CORRECT_THE_NAME = (
    "set destination to the name in the certificate; or set add_cert_file to the server's own "
    "certificate, without tls_check_hostname"
)
WEAK_CERTIFICATE = "the server's certificate is too weak"
CERTIFICATE_NOT_ACCEPTED = "the server's certificate is not accepted"
CERTIFICATE_EXPIRED = "the server's certificate has expired"
RENEW_IT = "have it renewed"
CERTIFICATE_NOT_YET_VALID = "the server's certificate is not valid yet"
CHECK_CLOCKS = "check the clocks of both sides"
CLIENT_REJECTED = "the server rejected the client certificate"
TRUST_OUR_CA = "have the server trust the CA of cert, or use the cert and key that it expects"
CLIENT_REQUIRED = "the server requires a client certificate"
SERVER_VALID_UNTIL = "The server's certificate is valid until"
OWN_CERTIFICATE = "The certificate in"
VALID_UNTIL = "is valid until"
UNREADABLE_DATE = "an unreadable date"
ONE_KEY = "an unencrypted PEM file with one private key, RSA or EC"
A_CHAIN = "a PEM file with the key's certificate first, then those of its chain, if any"
OPENSSL_REJECTS = "OpenSSL does not accept it"

# Datasets and pixels
DEFLATED_ENDS_EARLY = "its deflated data ends early"
FRAME_DAMAGED = "a frame is damaged"
FRAME_TRUNCATED = "a frame is truncated"
FRAME_TOO_LARGE = "a frame is larger than"
FRAME_TOO_SLOW = "a frame takes more than"
OTHER_FRAME_SIZE = "the size of a frame differs from the dataset"
OTHER_PRECISION = "the precision of a frame differs from the dataset"
OTHER_LAYOUT = "its pixel layout is not supported"
OTHER_COLOURS = "its colours cannot be decoded"
NO_PIXEL_DESCRIPTION = "its pixel description is missing or invalid"
PIXELS_OVER_4_GIB = "its pixel data is larger than 4 GiB"
MORE_THAN = "it has more than"
RUN_ENDED = "the run ended before it was"
SIEMENS_RDA = "Siemens spectroscopy (RDA)"
SIEMENS_PTD = "raw data of Siemens PET (PTD)"

# Results of a run
ON_SERVER = "images on the server"
ALL_SENT = "All images were sent"
BUT_NOT_ALL_VERIFIED = "but not all were verified"
NOT_ALL_SENT = "Not all images were sent"
NOT_ALL_ON_SERVER = "Not all images are on the server"
ALL_ON_SERVER = "All images are on the server"
NOT_ALL_WOULD_BE_SENT = "Not all images would be sent"
ALL_WOULD_BE_SENT = "All images would be sent or are already on the server"
WARNINGS_AND_CHANGES = "Warnings and changes"
IMAGES_PER_SECOND = "Images per second during the run"
STORE_TIMES = "C-STORE times, most often"
STOPPED_BY = "Stopped by"
CONTINUES_WITHOUT = "failed; the run continues without it"
CANNOT_WRITE_TO_WORK = "Cannot write to the work folder"
CANNOT_WRITE_IMAGES = "Cannot write the per-image report"
SKIPPED_REPORT = "Skipping the report"
CANNOT_CHECK_EXISTING = "Cannot check for existing images"
SENDING_ALL = "sending all"
CANNOT_VERIFY = "Cannot verify images"
ASSOCIATION_LOST = "A connection was lost with an image"
CONTINUING_WITH = "Continuing with"
