"""The labelling page: one paragraph at a time, by keyboard, straight into the labels' file.

It serves one page from this machine to this machine: no network, no foreign page. Which paragraphs
are shown, and in which order, is for the caller to say.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paratopic.annotation.context import Suggestion
from paratopic.labels.answers import current
from paratopic.labels.log import UNDECIDED, Label, append, first_words, read_lines
from paratopic.project.errors import UserError
from paratopic.project.topics import SEPARATOR, Topics

HOST = "127.0.0.1"


class Session:
    """One annotator's work on some paragraphs.

    Parameters
    ----------
    path
        The labels' file; every answer is on the disk before it is confirmed.
    annotator
        Who labels.
    items
        Paragraphs in the order in which they are shown.
    topics
        The codebook.
    """

    def __init__(
        self, path: Path, annotator: str, items: Sequence[Suggestion], topics: Topics
    ) -> None:
        self._path, self._annotator, self._topics = path, annotator, topics
        self._items = {item.id: item for item in items}
        lines = read_lines(path) if path.exists() else []
        own = current(line for line in lines if line.annotator == annotator)
        self._answers = {line.paragraph: line for line in own if line.paragraph in self._items}
        # What each answer of this session took the place of.
        self._before: list[tuple[str, Label | None]] = []

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        items = [
            {
                "id": item.id,
                "article": item.article,
                "heading": item.heading,
                "before": item.before,
                "text": item.text,
                "after": item.after,
                "scores": item.scores,
                "topic": item.topic,
                "confidence": item.confidence,
                "answer": self._shown(item.id),
            }
            for item in self._items.values()
        ]
        topics = [{"name": t.name, "definition": t.definition} for t in self._topics.topics]
        told = {"annotator": self._annotator, "mode": self._topics.mode}
        return told | {"topics": topics, "items": items}

    def save(self, paragraph: str, names: Sequence[str], note: str) -> dict[str, Any]:
        """Write an answer; returns it as the page shows it.

        Raises
        ------
        UserError
            The paragraph is not of this session, or a topic is unknown.
        """
        if paragraph not in self._items:
            raise UserError(f"{paragraph} is not among the paragraphs to label")
        cell = SEPARATOR.join(self._topics.parse(SEPARATOR.join(names), paragraph))
        before = self._answers.get(paragraph)
        self._write(paragraph, cell, note)
        self._before.append((paragraph, before))
        return {"id": paragraph, "answer": self._shown(paragraph)}

    def undo(self) -> dict[str, Any]:
        """Take the last answer back; what stood before it stands again.

        Raises
        ------
        UserError
            There is none in this session.
        """
        if not self._before:
            raise UserError("there is nothing to undo")
        paragraph, before = self._before[-1]
        if before is None:
            self._write(paragraph, UNDECIDED, "")
        else:
            self._write(paragraph, before.cell, before.note)
        self._before.pop()
        return {"id": paragraph, "answer": self._shown(paragraph)}

    def _write(self, paragraph: str, cell: str, note: str) -> None:
        text = first_words(self._items[paragraph].text)
        line = Label("the page", paragraph, cell, text, self._annotator, note=note)
        written = append(self._path, line)
        if cell == UNDECIDED:
            del self._answers[paragraph]
        else:
            self._answers[paragraph] = written

    def _shown(self, paragraph: str) -> dict[str, Any] | None:
        answer = self._answers.get(paragraph)
        return None if answer is None else {"topics": answer.names, "note": answer.note}


class Guard:
    """Answers only what this machine's own page asks.

    A foreign page can send requests here too: its Origin tells. One whose name was made to point
    here (DNS rebinding) is told by its Host.

    Parameters
    ----------
    app
        What is guarded.
    port
        Where it is served.
    policy
        Content-Security-Policy of every answer.
    """

    def __init__(self, app: ASGIApp, port: int, policy: str) -> None:
        self._app, self._policy = app, policy
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self._policy
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cache-Control"] = "no-store"
            await send(message)

        assert scope["type"] == "http", scope["type"]
        refused = self._refused(Headers(scope=scope), scope["method"])
        await (refused or self._app)(scope, receive, guarded)

    def _refused(self, headers: Headers, method: str) -> Response | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts:
            return PlainTextResponse(f"refused: the host {host!r} is not this machine", 403)
        if origin is not None and origin != f"http://{host}":
            return PlainTextResponse(f"refused: a page of {origin!r} asks", 403)
        if method == "POST" and headers.get("content-type") != "application/json":
            return PlainTextResponse("refused: not JSON", 415)
        return None


def application(session: Session, port: int) -> ASGIApp:
    """The page and what it asks for, guarded."""
    page = files("paratopic.annotation").joinpath("page.html").read_text(encoding="utf-8")

    async def show(request: Request) -> Response:
        return HTMLResponse(page)

    async def state(request: Request) -> Response:
        return JSONResponse(session.state())

    # One after the other: nothing is awaited between reading the answers and writing one.
    async def save(request: Request) -> Response:
        try:
            asked = await request.json()
            names, note = asked["topics"], asked["note"]
            if not isinstance(names, list) or not all(isinstance(s, str) for s in (*names, note)):
                raise TypeError("topics are names, the note is text")
        except (ValueError, KeyError, TypeError) as error:
            return PlainTextResponse(f"not understood: {error!r}", 400)
        try:
            return JSONResponse(session.save(asked.get("id"), names, note))
        except UserError as error:
            return PlainTextResponse(str(error), 400)

    async def undo(request: Request) -> Response:
        try:
            return JSONResponse(session.undo())
        except UserError as error:
            return PlainTextResponse(str(error), 409)

    routes = [
        Route("/", show),
        Route("/state", state),
        Route("/save", save, methods=["POST"]),
        Route("/undo", undo, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), port, policy(page))


def policy(page: str) -> str:
    """Content-Security-Policy under which this page's own script and style run, and no others."""

    def own(tag: str) -> str:
        (inline,) = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", page)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    return (
        f"default-src 'none'; script-src {own('script')}; style-src {own('style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def serve(session: Session, port: int) -> None:
    """Serve the page on 127.0.0.1 until Ctrl-C.

    Raises
    ------
    UserError
        The port is in use.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise UserError(f"port {port} cannot be used ({error.strerror}): --port 0") from None
    port = listener.getsockname()[1]
    app = application(session, port)
    print(f"Label at http://{HOST}:{port} (Ctrl-C ends; every answer is saved at once)", flush=True)
    config = uvicorn.Config(app, lifespan="off", ws="none", log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
