"""Adds manifest.json to the package in a wheel."""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithManifest(build_py):
    """Step of a build that copies the package."""

    def build_package_data(self) -> None:
        """Copy the manifest, too."""
        super().build_package_data()
        self.copy_file("manifest.json", f"{self.build_lib}/fw_gear_dicom_send")


setup(cmdclass={"build_py": BuildWithManifest})
