"""Runs a program in a pseudo-terminal and closes the terminal when the program has written a text.

Usage: close_terminal.py TEXT PROGRAM [ARGUMENT]...

Exits with the program's status.
"""

import os
import pty
import sys

text, program = sys.argv[1].encode(), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(program[0], program)
written = b""
while text not in written:
    written += os.read(terminal, 65536)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
