"""Program that prints the raw-data format of a file; separate because fw-file changes pydicom.

`python foreign_reader.py PATH` prints a name of `FORMATS`, or nothing.
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
"""Names of formats, with the module and the class of fw-file that read them."""
_TEXTS = {"PARFile": "patient_name"}
"""Classes that accept any text, with the field that identifies the format."""
MAX_MEMORY = 1 << 30


def main(path: str) -> None:
    """Print the format of the file."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    except (ImportError, ValueError):
        pass  # Windows has no such limit, but the time is always limited
    for name, (module, reader) in FORMATS.items():
        try:
            file = getattr(import_module(f"fw_file.{module}"), reader)(path)
            if reader not in _TEXTS or _TEXTS[reader] in file:
                print(name)  # noqa: T201
                return
        except Exception:  # noqa: S112
            continue  # another format, or damaged


if __name__ == "__main__":
    main(sys.argv[1])
