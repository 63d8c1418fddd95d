"""Validates manifests by fw-gear, with the classification that its newest versions ask for.

usage: python check_manifests.py MANIFEST...   (with a Python that has fw-gear)
"""

import sys

from fw_gear.manifest import Manifest, ManifestValidationError


def main(paths: list[str]) -> int:
    """Write what is wrong with each manifest; return 1 if anything is."""
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
