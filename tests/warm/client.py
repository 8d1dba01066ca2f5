"""Asks the process of `server.py` to run a program; what it is not for, it runs as it is."""

import json
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(sys.argv[0]))
NAME, WORDS = os.path.basename(sys.argv[0]), sys.argv[1:]


def run_as_it_is() -> None:
    program = os.path.join(os.path.dirname(sys.executable), NAME)
    os.execv(program, [program, *WORDS])


# A stage, or what pytest-xdist begins with.
FORKED = ("-m paratopic.stages.", "-c import sys;exec(eval(sys.stdin.readline()))")
if NAME == "python" and not " ".join(WORDS).startswith(FORKED):
    run_as_it_is()
asked, patience = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), time.monotonic() + 60
while True:
    try:
        asked.connect(os.path.join(HERE, "socket"))
        break
    except FileNotFoundError:  # it is about to start
        time.sleep(0.1)
        if time.monotonic() > patience:
            run_as_it_is()
    except OSError:  # it has ended
        run_as_it_is()
request = json.dumps([NAME, WORDS, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(asked, [request], [0, 1, 2])
for each in signal.SIGINT, signal.SIGTERM:
    signal.signal(each, lambda number, _: asked.send(str(number).encode()))
status = asked.recv(16)
if status == b"no":
    run_as_it_is()
# Without a status it may have begun: it is not run a second time.
sys.exit(int(status or 1))
