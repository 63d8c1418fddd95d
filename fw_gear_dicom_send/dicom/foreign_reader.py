"""Program that detects the raw-data format of a file; separate because fw-file changes pydicom.

`python foreign_reader.py PARENT < FILE` exits with `FIRST_CODE` plus the index of a name in
`FORMATS`, or with 0.
"""

import os
import struct
import sys
from importlib import import_module
from io import BytesIO
from pathlib import Path
from runpy import run_path
from typing import BinaryIO

FORMATS = {
    "raw data of Siemens PET (PTD)": ("siemens", "PTDFile"),
    "raw data of Siemens MR (DAT)": ("siemens", "DATFile"),
    "Siemens spectroscopy (RDA)": ("siemens", "RDAFile"),
    "raw data of GE MR (P-file)": ("ge", "PFile"),
    "the header of Philips PAR/REC": ("philips", "PARFile"),
}
"""Names of formats, with the module and the class of fw-file that read them."""
FIRST_CODE = 100
MAX_SECONDS = 5
_TEXTS = {"PARFile": "patient_name"}
"""Classes that accept any text, with the field that identifies the format."""
_MAX_PART = 1 << 20
_MAX_MEMORY = 32 << 20
_HEADER = b"DICM" + struct.pack("<HH2sH20s", 2, 0x10, b"UI", 20, b"1.2.840.10008.1.2.1")
_PTD = bytes(128) + _HEADER + struct.pack("<i", 128 + len(_HEADER)) + b"LARGE_PET_LM_RAWDATA"
"""A minimal file, to import what fw-file imports only when it reads a dataset."""
_SANDBOX = Path(__file__).with_name("sandbox.py")


def detected(content: bytes) -> str | None:
    """Return the format of a file with this content."""
    for name, (module, reader) in FORMATS.items():
        try:
            file = getattr(import_module(f"fw_file.{module}"), reader)(BytesIO(content))
            if reader not in _TEXTS or _TEXTS[reader] in file:
                return name
        except Exception:  # noqa: S112
            continue  # another format, or damaged
    return None


def _ends(file: BinaryIO) -> bytes:
    """Return the first and the last MiB of a file; PTD has its header at the end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_MAX_PART)
    file.seek(max(len(head), size - _MAX_PART))
    return head + file.read(_MAX_PART)


def _prepare() -> None:
    # More threads would reserve address space.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for module, _ in FORMATS.values():
        import_module(f"fw_file.{module}")
    detected(_PTD)


def main(parent: int) -> None:
    """Exit with the format of standard input; `parent` is the process id of the gear."""
    confine = run_path(str(_SANDBOX))["confine"]
    confine(parent, _prepare, seconds=MAX_SECONDS, memory=_MAX_MEMORY)
    if name := detected(_ends(sys.stdin.buffer)):
        sys.exit(FIRST_CODE + list(FORMATS).index(name))


if __name__ == "__main__":
    main(int(sys.argv[1]))
