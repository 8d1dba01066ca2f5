"""A chat interface on this machine, for tests that ask a language model."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Text of a paragraph → the bytes of a reply, or the status of a refusal.
Script = Callable[[str, dict[str, Any], int], bytes | int]
Serve = Callable[[Script], "Server"]
# A reply that ends so is cut off: more is announced.
CUT = b"<cut off>"


def reply(text: str | None, **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text, **more}}]}).encode()


class Server:
    """A chat interface on this machine that answers as a script says, and counts questions."""

    def __init__(self, script: Script) -> None:
        self.asked: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        server, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][0]["content"].rstrip().rpartition("Paragraph:\n")[2]
                with lock:
                    server.asked[text] += 1
                    server.headers.append({k.title(): v for k, v in self.headers.items()})
                    number = server.asked[text]
                answer = script(text, body, number)
                status = answer if isinstance(answer, int) else 200
                data = b"" if isinstance(answer, int) else answer
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data) + data.endswith(CUT)))
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Retry-After-Ms", "5")  # so that tests wait no longer
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
