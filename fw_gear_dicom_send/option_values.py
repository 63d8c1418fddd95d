"""Values of options that the program decides by."""

from enum import StrEnum


class Auto(StrEnum):
    """Value of an option that the program decides itself."""

    AUTO = "auto"


class OnConflict(StrEnum):
    """What happens to an image whose UID a DICOMweb server has, but cannot store again."""

    REPORT = "report"
    REPLACE = "replace"


class ConversionMode(StrEnum):
    """When to change the transfer syntax of an image."""

    WHEN_NEEDED = "when needed"
    NEVER = "never"
    UNCOMPRESSED = "uncompressed"
    LOSSLESS = "lossless"
