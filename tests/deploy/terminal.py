#!/usr/bin/env python3
"""terminal.py ANSWERS COMMAND...: runs a command at a terminal of its own and types a line of
the file ANSWERS at each question: what ends in a colon or a question mark and waits.  Prints
what the terminal shows; ends with the command's status, or 124 after a minute of silence."""
import os
import pty
import re
import select
import sys

QUESTION = re.compile(rb"(assword|assphrase|FINGERPRINT\]|yes/no\])[^\n]*[:?] *$")


def main():
    with open(sys.argv[1]) as f:
        answers = f.read().splitlines()
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    shown = b""
    while True:
        if not select.select([fd], [], [], 60)[0]:
            sys.exit(124)
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        shown += data
        if QUESTION.search(shown) and answers:
            shown = b""
            os.write(fd, answers.pop(0).encode() + b"\n")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
