"""Completion scripts for shells, which shtab generates from a parser."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping

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
_BASH_DEFAULT = """\
# Completes nothing, so that Bash completes files itself.
_dicom_send_default() { :; }
"""
_ZSH = "_dicom_send_first() { _alternative 'files:file:_files' 'words:command:(echo servers)' }"
_BASH = """
_{name}_words() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" line
  if (( COMP_CWORD > 1 )); then
    case "${{COMP_WORDS[1]}}" in
{cases}      *) _shtab_{name} ;;
    esac
    return
  fi
  _shtab_{name}
  if [[ -n "{words}" && -n $(compgen -W "{words}" -- "$word") ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(
      compgen -f -- "$word"
      compgen -W "{words}" -- "$word"
    )
  fi
}}
complete -o bashdefault -o default -F _{name}_words {program}
"""
_BASH_CASE = """\
      {word})
        COMP_WORDS=("${{COMP_WORDS[@]:1}}"); COMP_CWORD=$(( COMP_CWORD - 1 ))
        _shtab_{name} ;;
"""


def script(
    parser: ArgumentParser, shell: str, commands: Mapping[str, Callable[[], ArgumentParser]]
) -> str:
    """Return the completion script for a shell; in Bash it also completes the `commands`."""
    import shtab  # it takes 0.04 s to import

    if shell != "bash":
        return f"{shtab.complete(parser, shell, preamble=_ZSH if shell == 'zsh' else '')}\n"
    parts = [shtab.complete(parser, shell, preamble=_BASH_DEFAULT)]
    cases = ""
    for word, make in commands.items():
        command = make()
        name = shtab.wordify(command.prog)
        parts.append(shtab.complete(command, shell))
        cases += _BASH_CASE.format(word=word, name=name)
    name, words = shtab.wordify(parser.prog), " ".join(commands)
    parts.append(_BASH.format(name=name, words=words, cases=cases, program=parser.prog))
    return "\n".join(parts)
