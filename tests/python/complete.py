"""Completes command lines in an interactive bash or zsh, and prints each with all its completions.

usage: complete.py bash|zsh SHELL SCRIPT LINE...

SHELL, the path of bash or zsh, loads SCRIPT, which `ssm-sync-exporter completions` has written. Then each LINE is typed on
a terminal.
"""

import os
import pty
import select
import sys
import time

SECONDS = 30

# Ctrl-X I inserts all completions into the line, and Ctrl-X P prints the line between markers.
BASH = r"""
PS1=; PS2=; HISTFILE=
bind 'set enable-bracketed-paste off'
bind 'set completion-query-items -1'
bind '"\C-xi": insert-completions'
bind -x '"\C-xp": printf "<<%s>>" "$READLINE_LINE"'
source {script}
printf '<<ready%s>>' ''
"""
ZSH = r"""
PS1=; PS2=; unsetopt zle_bracketed_paste prompt_cr prompt_sp
autoload -U compinit; compinit -D -u
source {script}
zle -C insert-all complete-word _generic
zstyle ':completion:insert-all::::' completer _all_matches _complete
zstyle ':completion:insert-all:*' insert true
bindkey '^Xi' insert-all
print-line() {{ print -n "<<$BUFFER>>" }}
zle -N print-line
bindkey '^Xp' print-line
printf '<<ready%s>>' ''
"""
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], BASH),
    "zsh": (["-f", "-i"], ZSH),
}


def marked(terminal, output):
    """What the shell prints between markers from now on."""
    deadline = time.monotonic() + SECONDS
    start = len(output)
    while b">>" not in output[start:] or b"<<" not in output[start:]:
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            raise SystemExit(f"no answer from the shell: {bytes(output)!r}")
        output += os.read(terminal, 65536)
    text = bytes(output[start:]).decode()
    return text[text.rindex("<<") + 2 : text.rindex(">>")]


def main():
    kind, shell, script, *lines = sys.argv[1:]
    arguments, setup = SHELLS[kind]
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="dumb", COLUMNS="1000")
        os.execv(shell, [shell, *arguments])
    # The setup is read from a file, because the terminal echoes what is typed.
    with open(script + ".setup", "w", encoding="utf-8") as file:
        file.write(setup.format(script=script))
    output = bytearray()
    os.write(terminal, f" source {script}.setup\n".encode())
    marked(terminal, output)
    for line in lines:
        # Ctrl-U empties the line.
        os.write(terminal, b"\x15" + line.encode() + b"\x18i\x18p")
        print(marked(terminal, output).rstrip())
    os.close(terminal)


main()
