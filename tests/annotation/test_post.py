"""What the network does to a question: it is slow, breaks off, sends too much or elsewhere."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest

from paratopic.annotation import chat as chat_module
from paratopic.annotation.asking import ask_all
from paratopic.annotation.chat import LONGEST_REPLY, BadReply, Busy, Chat
from paratopic.annotation.prompt import DEFAULT, Prompt
from paratopic.project.errors import UserError
from tests.annotation.chat_server import Server, reply
from tests.annotation.test_asking import TOPICS, item

QUESTION = [{"role": "user", "content": "What is it?"}]
KEY = "sk-secret"
# What a server does with a connection whose request it has read; the number counts them from 1.
Handle = Callable[[socket.socket, int], None]


def http(data: bytes, status: str = "200 OK", **headers: object) -> bytes:
    """A reply as it is on the wire."""
    names = {"content-length": len(data)} | {k.replace("_", "-"): v for k, v in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in names.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


TRADE = http(reply("trade"))


class RawServer:
    """A server whose replies are bytes that no proper server sends."""

    def __init__(self, handle: Handle) -> None:
        self.requests: list[bytes] = []
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(body) < int(length[1]):
                body += connection.recv(65536)
            self.requests.append(head + b"\r\n\r\n" + body)
            with suppress(OSError):  # the client has had enough
                self._handle(connection, len(self.requests))

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Handle], RawServer]]:
    servers: list[RawServer] = []

    def start(handle: Handle) -> RawServer:
        servers.append(RawServer(handle))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(server: RawServer, waits: list[float] | None = None, **more: Any) -> str:
    pause = (waits if waits is not None else list[float]()).append
    chat = Chat(f"{server.address}/v1", "m", more.get("key"), more.get("timeout", 5), pause)
    return chat.ask(QUESTION, {}).text


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_reply_that_comes_byte_by_byte_ends_in_time(
    part: str, serve: Callable[[Handle], RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "TRIES", 1)
    sent = TRADE if part == "header" else TRADE[TRADE.index(b"{") :]

    def drip(connection: socket.socket, number: int) -> None:
        connection.sendall(TRADE.removesuffix(sent))
        for byte in sent:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    started = time.monotonic()
    with pytest.raises(Busy, match=r"no answer in 0\.5 s"):
        ask(serve(drip), timeout=0.5)
    assert time.monotonic() - started < 3  # the whole reply would take longer


def test_of_50_megabytes_one_is_read(serve: Callable[[Handle], RawServer]) -> None:
    sent = []

    def pour(connection: socket.socket, number: int) -> None:
        connection.sendall(http(b"", content_length=50_000_000))
        for _ in range(500):
            connection.sendall(b"x" * 100_000)
            sent.append(100_000)

    with pytest.raises(BadReply, match=f"more than {LONGEST_REPLY:,} bytes"):
        ask(serve(pour))
    assert sum(sent) < 20_000_000  # and what the machine buffers


@pytest.mark.parametrize(
    "broken", [TRADE[:-9], http(b"", transfer_encoding="chunked") + b"400\r\n{", b"", b"HTTP/9"]
)
def test_a_reply_that_breaks_off_is_asked_for_again(
    broken: bytes, serve: Callable[[Handle], RawServer]
) -> None:
    server = serve(lambda connection, number: connection.sendall((broken, TRADE)[number > 1]))
    assert ask(server) == "trade" and len(server.requests) == 2


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("cell", "low", "high"),
    [
        ("7", 7, 8),
        (in_seconds(3000), 60, 61),  # no longer than `LONGEST_WAIT`
        ("soon", 0, 1),
        ("-3", 0, 1),
        ("nan", 0, 1),
        ("Mon, 01 Jan 2001 00:00:00", 0, 1),
    ],
    ids=["seconds", "time", "words", "past", "no number", "no zone"],
)
def test_nobody_is_asked_earlier_than_the_server_wants(
    cell: str, low: float, high: float, serve: Callable[[Handle], RawServer]
) -> None:
    busy, waits = http(b"", "429 Too Many Requests", retry_after=cell), list[float]()
    server = serve(lambda connection, number: connection.sendall((busy, TRADE)[number > 1]))
    assert ask(server, waits) == "trade"
    assert low <= waits[0] <= high and len(waits) == 1


def test_waits_become_longer(serve: Callable[[Handle], RawServer]) -> None:
    waits: list[float] = []
    with pytest.raises(Busy, match="status 503, 6 tries"):
        ask(serve(lambda c, _: c.sendall(http(b"", "503 Busy"))), waits)
    assert len(waits) == 5
    assert all(2**n / 2 <= wait <= 2**n for n, wait in enumerate(waits))
    assert all(one <= other for one, other in pairwise(waits))


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        ("402 Payment Required", {}, "no credit left"),
        ("308 Permanent Redirect", {"location": "http://127.0.0.1:9/v1"}, "on to another address"),
        ("302 Found", {}, "on to another address"),
        ("404 Not Found", {}, "has no model m"),
        ("403 Forbidden", {}, "PARATOPIC_LLM_KEY"),
    ],
)
def test_a_server_that_refuses_every_question_is_asked_once(
    status: str,
    headers: Mapping[str, str],
    message: str,
    serve: Callable[[Handle], RawServer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve(lambda connection, _: connection.sendall(http(b"", status, **headers)))
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError, match=message) as caught:
        ask(server, key=KEY)
    assert len(server.requests) == 1 and f"Bearer {KEY}".encode() in server.requests[0]
    assert KEY not in str(caught.getrepr(showlocals=False)) + caplog.text


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}ä", "\x00"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(UserError, match="characters that no key has") as caught:
        Chat("http://127.0.0.1/v1", "m", key)
    assert "secret" not in str(caught.value)


def test_a_proxy_is_used_for_other_machines_alone(
    serve: Callable[[Handle], RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, here = (serve(lambda connection, _: connection.sendall(TRADE)) for _ in range(2))
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.address)
    assert ask(here) == "trade" and not proxy.requests
    assert Chat("http://llm.example/v1", "m").ask(QUESTION, {}).text == "trade"
    assert proxy.requests[0].startswith(b"POST http://llm.example/v1/chat/completions ")


def test_as_many_questions_are_under_way_as_were_wished_for() -> None:
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3)

    def script(text: str, body: dict[str, Any], number: int) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(10)  # fails unless three are under way
        with lock:
            running -= 1
        return reply(json.dumps({"topic": "trade"}))

    server = Server(script)
    items = [item(str(number)) for number in range(9)]
    chat, prompt = Chat(server.url, "m"), Prompt(DEFAULT, TOPICS)
    answers = list(ask_all(chat, prompt, items, 1, 3, lambda: True))
    server.close()
    assert [answer.topics for answer in answers] == [("trade",)] * 9 and most == 3
