"""`shardway top` in a terminal of its own: it draws, goes to the next database, and ends with q, leaving the terminal as it was."""

import fcntl
import os
import pty
import select
import sys
import struct
import termios
import time

program, url = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.environ.update(TERM="xterm-256color", COLUMNS="150", LINES="50")
    os.execv(program, [program, "top", "--url", url, "--every", "1", "--database", "shop"])
seen = b""


def until(wanted):
    global seen
    end = time.monotonic() + 60
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, (wanted, seen)
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            break
    assert wanted in seen, (wanted, seen)



fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 150, 0, 0))
# It is on the other screen.
until(b"\x1b[?1049h")
until(b"requests/s")
until(b"expensive")
seen = b""
os.write(terminal, b"\t")
until(b"other")
os.write(terminal, b"q")
until(b"\x1b[?1049l")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("ended")
