"""Send one request to a server and read its reply, which is bounded in bytes and in time.

The standard library is enough for it. No redirection is followed, because a key is for the server
of the URL alone, and nothing is tried again (`chat` does that).
"""

from __future__ import annotations

import io
import ssl
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from socket import socket
from typing import Any


class TooLong(Exception):
    """A reply has too many bytes."""


class Sender:
    """Sends requests; several threads may share it.

    Parameters
    ----------
    direct
        Send past proxies. Otherwise the environment decides: HTTPS_PROXY, HTTP_PROXY, NO_PROXY.
    """

    def __init__(self, direct: bool) -> None:
        proxies = [urllib.request.ProxyHandler({})] if direct else []
        handlers = (_NoRedirection(), _Handler(), _SecureHandler())
        self._opener = urllib.request.build_opener(*proxies, *handlers)

    def post(
        self, url: str, data: bytes, headers: Mapping[str, str], timeout: float, longest: int
    ) -> bytes:
        """Send data, and read the reply.

        Parameters
        ----------
        url
            Where to send it.
        data
            What to send.
        headers
            Headers of the request.
        timeout
            Seconds that the reply may take as a whole, once the server has the request.
        longest
            Number of bytes that the reply may have.

        Raises
        ------
        TooLong
            The reply has more bytes. No more than these are read.
        TimeoutError, OSError, HTTPException
            There is no whole reply. An HTTPError of urllib, which is an OSError, has the status.
        """
        request = urllib.request.Request(url, data, dict(headers))
        with self._opener.open(request, timeout=timeout) as reply:
            read = reply.read(longest + 1)
            if len(read) > longest:
                raise TooLong
            if reply.length:  # of a reply that breaks off, urllib gives what there is
                raise ConnectionError("the reply breaks off")
            return bytes(read)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **more: Any) -> None:
        return None


class _Until(io.RawIOBase):
    """Bytes of a socket, all of which come before its timeout is over.

    By itself, a socket's timeout begins anew with each byte.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket) -> None:
        self._raw, self._sock = raw, sock
        timeout = sock.gettimeout()
        self._end = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._end is not None:
            if (left := self._end - time.monotonic()) <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp = io.BufferedReader(_Until(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Connection, request)


class _SecureHandler(urllib.request.HTTPSHandler):
    def __init__(self) -> None:
        # Once, because it reads the certificates of all authorities.
        self._trusted = ssl.create_default_context()
        super().__init__(context=self._trusted)

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_SecureConnection, request, context=self._trusted)
