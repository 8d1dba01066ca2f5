"""Ask the process of `server.py` to run a program, or run it here if the server cannot."""

import json
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(sys.argv[0]))
NAME, WORDS = os.path.basename(sys.argv[0]), sys.argv[1:]


def run_here() -> None:
    program = os.path.join(os.path.dirname(sys.executable), NAME)
    os.execv(program, [program, *WORDS])


# Beginnings of the arguments of a stage, and of processes of pytest-xdist.
FORKED = ("-m paratopic.stages.", "-c import sys;exec(eval(sys.stdin.readline()))")
if NAME == "python" and not " ".join(WORDS).startswith(FORKED):
    run_here()
server, deadline = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), time.monotonic() + 60
while True:
    try:
        server.connect(os.path.join(HERE, "socket"))
        break
    except FileNotFoundError:  # the server is starting
        time.sleep(0.1)
        if time.monotonic() > deadline:
            run_here()
    except OSError:  # the server has ended
        run_here()
request = json.dumps([NAME, WORDS, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [request], [0, 1, 2])
for signal_number in signal.SIGINT, signal.SIGTERM:
    signal.signal(signal_number, lambda number, _: server.send(str(number).encode()))
status = server.recv(16)
if status == b"no":
    run_here()
# Without a status the program may have begun, so that it must not run a second time.
sys.exit(int(status or 1))
