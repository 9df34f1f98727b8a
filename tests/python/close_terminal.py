"""Runs a program in a pseudo-terminal and closes the terminal when the program has written a text.

Usage: close_terminal.py TEXT PROGRAM [ARGUMENT]...

Exits with the program's status. Kills a program that goes on for a minute.
"""

import os
import pty
import signal
import sys

text, program = sys.argv[1].encode(), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(program[0], program)
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(60)
written = b""
while text not in written:
    written += os.read(terminal, 65536)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
