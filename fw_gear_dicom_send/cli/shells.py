"""How each shell completes files and folders, as shtab expects it."""

SHELLS = ("bash", "zsh", "tcsh", "fish", "powershell")
"""Shells that shtab writes scripts for."""

_DEFAULT = "_dicom_send_default"
COMPLETE_FILE = {
    "bash": _DEFAULT,
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
COMPLETE_FIRST = COMPLETE_FILE | {
    "zsh": "_dicom_send_first",
    "fish": "(__fish_complete_path (commandline -ct); printf 'echo\\nservers\\n')",
}
"""Completions of a file, a folder and the first argument. Bash uses its own default for all."""
