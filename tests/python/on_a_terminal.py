"""Runs a program in a pseudo-terminal.

Usage: on_a_terminal.py COLUMNS PROGRAM [ARGUMENT]...

Copies the program's output to stdout, and exits with its status.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

columns, program = int(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execv(program[0], program)
while True:
    try:
        text = os.read(terminal, 65536)
    except OSError:  # Linux returns EIO at the end
        break
    if not text:
        break
    sys.stdout.buffer.write(text)
sys.stdout.buffer.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
