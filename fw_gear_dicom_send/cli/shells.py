"""How each shell completes files and folders, as shtab expects it."""

from ..option_types import FILE, FILES, FOLDER, LIST

SHELLS = ("bash", "zsh", "tcsh", "fish", "powershell")
"""Shells that shtab writes scripts for."""

COMPLETE_FILE = {
    "bash": "_dicom_send_default",
    "zsh": "_files",
    "tcsh": "f",
    "fish": "(__fish_complete_path (commandline -ct))",
    "powershell": "_shtab_powershell_compgen_files",
}
COMPLETE_FOLDER = COMPLETE_FILE | {
    "zsh": "_files -/",
    "fish": "(__fish_complete_directories)",
    "powershell": "_shtab_powershell_compgen_dirs",
    "tcsh": "d",
}
COMPLETIONS = dict.fromkeys((FILE, FILES, LIST), COMPLETE_FILE) | {FOLDER: COMPLETE_FOLDER}
"""Completions by the type of an option."""
COMPLETE_FIRST = COMPLETE_FILE | {
    "zsh": "_dicom_send_first",
    "fish": "(__fish_complete_path (commandline -ct); printf 'echo\\nservers\\n')",
}
"""Completions of the first argument. Bash uses its own default for all."""
