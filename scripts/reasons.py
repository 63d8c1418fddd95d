"""Writer of docs/reasons.md: each reason with its code, its text and its advice."""

from collections.abc import Iterator

from fw_gear_dicom_send.reasons import Kind
from scripts.conformance import REPOSITORY

TARGET = REPOSITORY / "docs" / "reasons.md"
HEAD = """\
# Reasons and their codes

Look up a code from a report here to see its meaning and what to do.

The codes are in the column `Code` of the per-image report (`..._instances.csv`), and in the field
`code` of `dicom-send --json`. Codes are stable: scripts can rely on them. Texts are for people and
may change. An ellipsis stands for a detail, such as a status, a size or a server's message.

The code is the reason why an image was not sent. Other images have these codes:

- sent images: empty, `converted`, `converted-as-asked`, `frames-padded`, `lossy-compression`,
  `not-compressed`, `not-looked-up`, `pixel-data-encoding`, `pixel-data-missing`, `repaired` or
  `stored-with-warning`;
- images that were not sent again: `already-stored` or `sent-earlier`.

| code | text | what to do |
|---|---|---|
"""


def document() -> str:
    """Return the text of docs/reasons.md."""
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in sorted(_rows()))


def _rows() -> Iterator[tuple[str, str, str]]:
    for kind in Kind:
        text = kind.template
        if text == "{}":
            text = f"{kind.name.lower().replace('_', ' ')}: {{}}"
        yield f"`{kind.code}`", text.replace("{}", "…"), kind.advice


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
