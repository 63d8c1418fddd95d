"""Tells what a file that is no DICOM is; a program of its own, as fw-file changes pydicom.

python foreign_reader.py PATH prints a name of `FORMATS`, or nothing.
"""

import sys
from importlib import import_module

FORMATS = {
    "raw data of Siemens PET (PTD)": ("siemens", "PTDFile"),
    "raw data of Siemens MR (DAT)": ("siemens", "DATFile"),
    "Siemens spectroscopy (RDA)": ("siemens", "RDAFile"),
    "raw data of GE MR (P-file)": ("ge", "PFile"),
    "the header of Philips PAR/REC": ("philips", "PARFile"),
}
"""What fw-file reads it as: the module and the class."""
_TEXTS = {"PARFile": "patient_name"}
"""What is read of any text, and the field that it has to have."""
MAX_MEMORY = 1 << 30


def main(path: str) -> None:
    """Print what the file is."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    except (ImportError, ValueError):
        pass  # as on Windows; the time is bounded in any case
    for name, (module, reader) in FORMATS.items():
        try:
            file = getattr(import_module(f"fw_file.{module}"), reader)(path)
            if reader not in _TEXTS or _TEXTS[reader] in file:
                print(name)  # noqa: T201
                return
        except Exception:  # noqa: S112
            continue  # it is something else, or damaged


if __name__ == "__main__":
    main(sys.argv[1])
