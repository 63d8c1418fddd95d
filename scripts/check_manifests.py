"""Validates manifests with fw-gear, with the classification that its newest versions require.

usage: python check_manifests.py MANIFEST...   (needs a Python with fw-gear)
"""

import sys

from fw_gear.manifest import Manifest, ManifestValidationError


def main(paths: list[str]) -> int:
    """Print the errors of each manifest; return 1 if there are any."""
    failed = 0
    for path in paths:
        try:
            Manifest(path).validate(validate_classification=True)
        except ManifestValidationError as error:
            sys.stderr.write(f"{error}\n")
            failed = 1
        else:
            sys.stdout.write(f"{path} is valid\n")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
