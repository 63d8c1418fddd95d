"""Completion scripts for shells, which shtab generates from a parser."""

from argparse import ArgumentParser
from collections.abc import Mapping

import shtab

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


def script(parser: ArgumentParser, shell: str, commands: Mapping[str, ArgumentParser]) -> str:
    """Return the completion script for a shell; in Bash it also completes the `commands`."""
    if shell != "bash":
        return f"{shtab.complete(parser, shell, preamble=_ZSH if shell == 'zsh' else '')}\n"
    parts = [shtab.complete(parser, shell, preamble=_BASH_DEFAULT)]
    cases = ""
    for word, command in commands.items():
        name = shtab.wordify(command.prog)
        parts.append(shtab.complete(command, shell))
        cases += _BASH_CASE.format(word=word, name=name)
    name, words = shtab.wordify(parser.prog), " ".join(commands)
    parts.append(_BASH.format(name=name, words=words, cases=cases, program=parser.prog))
    return "\n".join(parts)
