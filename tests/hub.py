"""A stand-in for a hub on this machine: repositories in memory, by the interface of Hugging Face's.

It has what the libraries ask to read files, which lie in no folders, and to commit some. Nobody is
asked who they are.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]

_RESOLVE = re.compile(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/([\w-]+)(?:/([^/]+))?)?")


@dataclass
class Hub:
    """A stand-in that is running, at an address for HF_ENDPOINT; `asked` are its requests.

    Repositories are ``models`` or ``datasets`` and a name → commit → files; the last is ``main``.
    """

    address: str = ""
    repositories: dict[tuple[str, str], dict[str, Files]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def commit(self, kind: str, name: str, files: Mapping[str, bytes]) -> str:
        """Add a commit with these files beside those of before; returns its name."""
        commits = self.repositories.setdefault((kind, name), {})
        every = (list(commits.values()) or [{}])[-1] | {**files}
        listed = json.dumps({path: hashlib.sha1(data).hexdigest() for path, data in every.items()})
        sha = hashlib.sha1(listed.encode()).hexdigest()
        commits[sha] = every
        return sha


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()

    class Handler(_Handler):
        of = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    of: Hub
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.of.asked.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/api/repos/create":
            made = json.loads(body)
            kind = f"{made.get('type') or 'model'}s"
            name = f"{made['organization']}/{made['name']}"
            self.of.repositories.setdefault((kind, name), {})
            return self._json({"url": f"{self.of.address}/{name}"})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if found := _RESOLVE.fullmatch(path):
            kind, name, revision, file = found.groups()
            return self._file(kind or "models", name, revision, file)
        if found := _API.fullmatch(path):
            return self._repository(body, *found.groups())
        return self._error("EntryNotFound")

    do_GET = do_HEAD = do_POST = _answer

    def _commit(self, kind: str, name: str, revision: str) -> tuple[str, Files] | None:
        """A commit with its files; None, after an error is sent, if there is none."""
        commits = self.of.repositories.get((kind, name))
        if commits is None:
            self._error("RepoNotFound")
            return None
        sha = (list(commits) or [""])[-1] if revision == "main" else revision
        if sha not in commits and commits:
            self._error("RevisionNotFound")
            return None
        return sha, commits.get(sha, {})

    def _file(self, kind: str, name: str, revision: str, file: str) -> None:
        found = self._commit(kind, name, revision)
        if found is None:
            return
        sha, files = found
        headers = {"X-Repo-Commit": sha}
        if file not in files:
            return self._error("EntryNotFound", headers)
        tag = {"ETag": f'"{hashlib.sha1(files[file]).hexdigest()}"'}
        self._send(200, files[file], "application/octet-stream", headers | tag)

    def _repository(
        self, body: bytes, kind: str, name: str, what: str | None, revision: str
    ) -> None:
        if what == "commit":
            return self._take(body, kind, name)
        found = self._commit(kind, name, revision or "main")
        if found is None:
            return
        sha, files = found
        if what == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            return self._json({"files": [{"path": path} | modes for path in paths]})
        if what == "tree":
            return self._json([_listed(path, data) for path, data in files.items()])
        siblings = [{"rfilename": path} for path in files]
        about: dict[str, Any] = {"id": name, "sha": sha, "siblings": siblings, "private": False}
        return self._json(about | {"tags": [], "downloads": 0, "likes": 0, "gated": False})

    def _take(self, body: bytes, kind: str, name: str) -> None:
        """Commit what is sent: a JSON object a line."""
        values = [json.loads(line) for line in body.splitlines()]
        sent = [each["value"] for each in values if each["key"] == "file"]
        files = {each["path"]: base64.b64decode(each["content"]) for each in sent}
        sha = self.of.commit(kind, name, files)
        url = f"{self.of.address}/{name}/commit/{sha}"
        self._json({"success": True, "commitOid": sha, "commitUrl": url})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), "application/json", {})

    def _error(self, code: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(404, b"", "text/plain", {**(headers or {}), "X-Error-Code": code})

    def _send(self, status: int, body: bytes, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are in `Hub.asked`."""


def _listed(path: str, data: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(data).hexdigest()
    return {"type": "file", "path": path, "size": len(data), "oid": oid}
