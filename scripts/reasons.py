"""Writes docs/reasons.md from the code: each reason with its code, its text and its advice."""

from collections.abc import Iterator

from fw_gear_dicom_send.reasons import Kind
from scripts.conformance import REPOSITORY

TARGET = REPOSITORY / "docs" / "reasons.md"
HEAD = """\
# Reasons and their codes

The per-image report (`..._instances.csv`) has a column `Code`, and `dicom-send --json` a field
`code`. Codes are stable: scripts may rely on them. Texts are for people, and may change. An
ellipsis stands for a detail: a status, a size, or the words of a system or a server.

The code is the reason why an image was not sent. For an image that was sent it is empty,
`converted`, `converted-as-asked`, `existing-object`, `frames-padded`, `not-compressed`,
`pixel-data-missing`, `repaired` or `stored-with-warning`; for one that was not sent again,
`already-stored` or `sent-earlier`.

| code | text | what to do |
|---|---|---|
"""


def document() -> str:
    """Return the document."""
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in sorted(_rows()))


def _rows() -> Iterator[tuple[str, str, str]]:
    for kind in Kind:
        text = kind.template
        if text == "{}":
            text = f"{kind.name.lower().replace('_', ' ')}: {{}}"
        yield f"`{kind.code}`", text.replace("{}", "…"), kind.advice


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
