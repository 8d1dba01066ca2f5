"""Servers of tests that ask a language model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.annotation.chat_server import Script, Serve, Server


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a chat interface that answers as a script says."""
    servers: list[Server] = []

    def start(script: Script) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
