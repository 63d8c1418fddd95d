"""FaultSCP scripts that several tests share."""

from collections.abc import Callable

from tests.support.fault_scp import A_ASSOCIATE_AC, Image, Peer, Script

Rejection = tuple[int, int, int]
"""Result, source and reason (PS3.8 9.3.4)."""

UNKNOWN_CALLING_AE, UNKNOWN_CALLED_AE = (1, 1, 3), (1, 1, 7)
CONGESTED, AT_LIMIT = (2, 3, 1), (2, 3, 2)


# Instead of an association


def close_on_request(peer: Peer) -> None:
    """Read the association request, and close the connection."""
    peer.read_pdu()


def reset_on_request(peer: Peer) -> None:
    """Read the association request, and reset the connection."""
    peer.read_pdu()
    peer.reset()


def abort_on_request(peer: Peer) -> None:
    """Read the association request, and abort."""
    peer.read_pdu()
    peer.abort()


def answer_on_request(data: bytes) -> Script:
    """Return a script that reads the association request, responds with these bytes, and closes."""

    def script(peer: Peer) -> None:
        peer.read_pdu()
        peer.socket.sendall(data)

    return script


def accept_with_nonsense(peer: Peer) -> None:
    """Answer the association request with an A-ASSOCIATE-AC that cannot be decoded."""
    peer.read_pdu()
    peer.send_pdu(A_ASSOCIATE_AC, b"\xff" * 100)
    peer.read_to_end()


def rejecting(rejection: Rejection) -> Script:
    """Return a script that rejects the association."""
    return lambda peer: peer.reject(*rejection)


def leave_after_an_image(peer: Peer) -> None:
    """Accept the association, read an image, and close the connection without an answer."""
    peer.accept()
    peer.read_image()


# In the first message, an image or an echo


def accept_and_stall(peer: Peer) -> None:
    """Accept the association, then neither read nor answer."""
    peer.accept()
    peer.stall()


def close_in_first_message(peer: Peer) -> None:
    """Close the connection after the first PDU of the first message."""
    peer.accept()
    peer.read_pdu()


def close_within_image(peer: Peer) -> None:
    """Close the connection after the first PDU of an image; answer a C-ECHO before it."""
    peer.accept()
    peer.read_pdu_of_image()


def abort_in_first_message(peer: Peer) -> None:
    """Abort after the first PDU of the first message."""
    peer.accept()
    peer.read_pdu()
    peer.abort()


def reset_in_first_message(peer: Peer) -> None:
    """Reset the connection after the first PDU of the first message."""
    peer.accept()
    peer.read_pdu()
    peer.reset()


def close_after_command(peer: Peer) -> None:
    """Close the connection between the command of the first image and its dataset."""
    peer.accept()
    peer.read_command()


# Instead of an answer


def close_before_answer(peer: Peer) -> None:
    """Read the first image, and close the connection without an answer."""
    peer.accept()
    peer.read_image()


def answering_by(misbehave: Callable[[Peer, Image], None]) -> Script:
    """Return a script that reads images and calls `misbehave` instead of answering."""

    def script(peer: Peer) -> None:
        peer.accept()
        misbehave(peer, peer.read_image())
        peer.read_to_end()

    return script


def answer_wrong_message_id(peer: Peer, image: Image) -> None:
    """Answer with the message ID of another image."""
    peer.answer(image, message_id=image.message_id + 1)


# Answers


def answering(*statuses: int) -> Script:
    """Return a script that answers with these statuses in order and repeats the last one."""
    left = list(statuses)

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            peer.answer(peer.read_image(), left.pop(0) if len(left) > 1 else left[0])

    return script


def answering_one(leave: Callable[[Peer], None]) -> Script:
    """Return a script that answers one image with Success and then runs `leave`."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        leave(peer)

    return script
