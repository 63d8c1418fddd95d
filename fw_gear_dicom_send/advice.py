"""What to do about the reasons for which images are not sent."""

_ADVICE = {
    "out of resources": "The server had no room. Ask its administrator to make some; then run the "
    "gear again.",
    "does not accept": "The server takes no images of this kind. Ask its administrator to have the "
    "SOP class and the transfer syntax enabled.",
    "given up": "The server was away for too long. Check that it runs and can be reached; then run "
    "the gear again, with a longer send_retry_time if it is often away.",
    "calling AE title": "The server does not know the gear. Have calling_ae entered there.",
    "called AE title": "called_ae is not the server's AE title.",
    "rejected": "The server refused the association. Its administrator can tell why.",
    "certificate": "One side does not accept the other's certificate. docs/tls.md has each case.",
    "TLS": "There was no TLS. docs/tls.md has each case.",
    "connection": "The connection was lost. Look for a firewall, or a server that restarts; then "
    "run the gear again.",
    "no answer": "The server did not answer. Check that it is not overloaded.",
    "does not have it": "The server lost what it had acknowledged. Its administrator should know.",
    "status 0x": "The server refused the image. Its log says why.",
    "cannot be converted": "The server takes such images uncompressed only, and this one cannot be "
    "decoded. Have the transfer syntax enabled on the server.",
    "API key": "The key that Flywheel gave to the job has expired. Run the gear again.",
    "archive": "The file on Flywheel is damaged, or no archive. Upload it anew.",
    "malformed": "The DICOM file is damaged. Upload it anew.",
    "it has no": "This is no complete DICOM image. It cannot be sent by C-STORE.",
    "its record says": "The file changed on Flywheel meanwhile, or is damaged there. Run the gear "
    "again.",
    "space": "The disk of the machine was full. Run the gear again where there is more room.",
    "run ended": "The job was cancelled or could not go on. Run the gear again.",
    "no DICOM image": "There is nothing in it to send. Its type on Flywheel may be wrong.",
}
"""By a part of the reason; the first that is found holds."""
_OTHER = "The log of the job may say more."


def advice(reason: str) -> str:
    """Return what to do about a reason, in a sentence or two."""
    lower = reason.lower()
    return next((words for part, words in _ADVICE.items() if part.lower() in lower), _OTHER)
