"""Completion scripts for shells, which shtab generates from a parser."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping

from ..option_values import FILE, FILES, FOLDER, LIST

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
_NAMES = "dicom-send servers 2>/dev/null | cut -d ' ' -f 1"
COMPLETE_WORD = COMPLETE_FILE | {
    "bash": "_dicom_send_word",
    "zsh": "_dicom_send_word",
    "fish": "(__fish_complete_path (commandline -ct); printf '%s\\n' check echo servers; "
    f"{_NAMES})",
}
"""Completions of paths, servers and, as the first argument, subcommands."""
COMPLETE_SERVER = {
    "bash": "_dicom_send_server",
    "zsh": "_dicom_send_server",
    "fish": f"({_NAMES})",
}
"""Completions of the names in servers.toml."""
_BASH_DEFAULT = f"""\
# Completes nothing, so that Bash completes files itself.
_dicom_send_default() {{ :; }}
_dicom_send_server() {{ compgen -W "$({_NAMES})" -- "$1"; }}
# Adds paths only beside a server, as Bash completes them itself otherwise.
_dicom_send_word() {{ [[ -n $1 ]] && _dicom_send_server "$1" && compgen -f -- "$1"; }}
"""
_ZSH = f"""\
_dicom_send_server() {{ compadd -- $({_NAMES}) }}
_dicom_send_word() {{
  _alternative 'files:file:_files' 'words:command:(check echo servers)' \\
    'servers:server:_dicom_send_server'
}}
"""
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
