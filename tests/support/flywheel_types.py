"""File types that a Flywheel site assigns by name, as in scitran/core.

Users with write access and classifiers can change the type later.
"""

EXTENSIONS = {
    "dicom": (".dcm", ".dcm.zip", ".dicom.zip", ".dicom"),
    "nifti": (".nii.gz", ".nii"),
    "archive": (
        *(".zip", ".tar", ".tar.gz", ".tgz"),
        *(".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz"),
    ),
    "image": (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff"),
    "log": (".log",),
    "markup": (".html", ".htm"),
    "pdf": (".pdf",),
    "source code": (".json", ".py", ".c", ".m", ".js"),
    "tabular data": (".csv", ".csv.gz"),
    "text": (".txt",),
}
TYPES = {extension: name for name, extensions in EXTENSIONS.items() for extension in extensions}


def type_of(name: str) -> str | None:
    """Return the type of a new file: the longest known extension decides, in any case."""
    parts = name.lower().split(".")[1:]
    extensions = ("." + ".".join(parts[start:]) for start in range(len(parts)))
    return next((TYPES[one] for one in extensions if one in TYPES), None)
