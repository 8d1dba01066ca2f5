"""The labelling page: one paragraph at a time, by keyboard, each answer saved to labels.csv.

The page is served by this machine to its own browsers only, and loads nothing from elsewhere. This
module does not decide which paragraphs are shown: the caller does.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from paratopic.annotation.suggestion import Suggestion
from paratopic.inference.prediction import Explanation
from paratopic.labels.answers import current
from paratopic.labels.log import Label, append, cell_of, first_words, locked, read_lines, state_of
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics

HOST = "127.0.0.1"
# Of each response, beside the policy for its content.
HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Shown(BaseModel):
    """What the page sends with each action: `version_of` the codebook that it shows."""

    codebook: str


class Submission(Shown):
    """What the page sends to be saved: the paragraph's id, its topics, and a note."""

    id: str
    topics: list[str]
    note: str


@dataclass
class Session:
    """Work of one annotator on some paragraphs.

    The codebook may change meanwhile. Then nothing is saved or undone until the page shows the new
    one: what was chosen from the old one may mean something else now.

    Parameters
    ----------
    path
        File of labels. Every answer is on the disk before it is confirmed.
    read_topics
        Function that reads the codebook as it is now.
    explain
        Function from the id of a paragraph to why the model answers as it does; None, the default,
        if the page is not to say.
    """

    path: Path
    annotator: str
    items: Sequence[Suggestion]
    read_topics: Callable[[], Topics]
    explain: Callable[[str], Explanation] | None = None
    _topics: Topics | None = field(default=None, init=False)
    _answers: dict[str, Label] = field(default_factory=dict, init=False)
    # The file as it was read or written last, and paragraph → time of its latest line there.
    _seen: object = field(default=None, init=False)
    _latest: dict[str, str] = field(default_factory=dict, init=False)
    # Each answer with this codebook: its paragraph, the answer that it replaced, and what it is.
    _replaced: list[tuple[Suggestion, Label | None, object]] = field(
        default_factory=list, init=False
    )
    # Times of the lines that this session wrote.
    _written: set[str] = field(default_factory=set, init=False)

    def state(self) -> dict[str, Any]:
        """Everything that the page shows.

        Raises
        ------
        UserError
            The codebook or the labels cannot be read, or a change is not finished.
        """
        topics = self._current_topics()
        hidden = {"title", "drawn", "when"}
        items = [
            {name: value for name, value in asdict(item).items() if name not in hidden}
            | {"answer": self._answer(item.id)}
            for item in self.items
        ]
        return {
            "annotator": self.annotator,
            "codebook": version_of(topics),
            "most": topics.most,
            "topics": [{"name": t.name, "definition": t.definition} for t in topics.topics],
            "items": items,
            "explains": self.explain is not None,
            "sample": any(item.drawn for item in self.items),
        }

    def why(self, paragraph: str) -> dict[str, Any]:
        """Explain what the model thinks of a paragraph.

        Returns
        -------
        The most probable topic, and by how much its logit falls without each sentence.

        Raises
        ------
        UserError
            The paragraph is not in this session, or what the model thinks of it is hidden.
        """
        item = self._item(paragraph)
        if self.explain is None or not item.scores:
            raise UserError(f"the model's prediction for {paragraph} is hidden")
        explanation = self.explain(paragraph)
        topic = explanation.topic
        sentences = [
            {"text": s.text, "share": s.shares.get(topic, 0.0)} for s in explanation.sentences
        ]
        return {"topic": topic, "sentences": sentences}

    def save(self, answer: Submission) -> dict[str, Any]:
        """Write an answer to the file of labels.

        Parameters
        ----------
        answer
            Its topics have the dominant one first; empty for none of the topics.

        Returns
        -------
        The paragraph's id, and its answer as the page shows it. If the codebook is another one than
        the page shows, or another program took answers out of the file, nothing is saved, and the
        new `state` is all that is returned.

        Raises
        ------
        UserError
            The paragraph is not in this session, a topic is unknown, or as for `state`.
        """
        item, known = self._item(answer.id), self._answers
        with locked(self.path):  # so that the codebook does not change before the line is written
            topics = self._current_topics()
            if answer.codebook != version_of(topics) or known.keys() - self._answers.keys():
                return {"state": self.state()}
            names, replaced = topics.check(answer.topics, item.id), self._answers.get(item.id)
            self._write(item, names, answer.note)
        self._replaced.append((item, replaced, self._answer(item.id)))
        return {"id": item.id, "answer": self._answer(item.id)}

    def undo(self, shown: Shown) -> dict[str, Any]:
        """Take back the last answer, so that the one it replaced counts again.

        Returns
        -------
        The paragraph's id, its answer as the page shows it (None if it had none before), and the
        answer that was taken back, for correcting it; or `state` alone, as for `save`.

        Raises
        ------
        UserError
            This session has no answer to take back, or as for `state`.
        """
        with locked(self.path):
            topics = self._current_topics()
            if shown.codebook != version_of(topics):
                return {"state": self.state()}
            if not self._replaced:
                raise UserError("there is nothing to undo")
            item, replaced, undone = self._replaced[-1]
            is_own = self._latest.get(item.id) in self._written
            if self._answer(item.id) != undone or not is_own:
                self._replaced.pop()
                raise UserError(
                    f"{item.id} was answered anew in another window; reload the page to see it"
                )
            names, note = (replaced.names, replaced.note) if replaced else (None, "")
            self._write(item, names, note)
        self._replaced.pop()
        return {"id": item.id, "answer": self._answer(item.id), "undone": undone}

    def _current_topics(self) -> Topics:
        """The codebook as it is now; after a change, the answers are read anew in its names."""
        topics = self.read_topics()
        if topics != self._topics or state_of(self.path) != self._seen:
            self._answers = self._own_answers(topics)
            self._replaced = self._replaced if topics == self._topics else []
            self._topics = topics
        return topics

    def _own_answers(self, topics: Topics) -> dict[str, Label]:
        """The annotator's latest answers on the session's paragraphs, as the file has them now."""
        self._seen = state_of(self.path)
        lines = read_lines(self.path) if self.path.exists() else []
        shown = {(item.id, self.annotator) for item in self.items}
        own = [line for line in lines if (line.paragraph, line.annotator) in shown]
        self._latest = {line.paragraph: line.when for line in sorted(own, key=lambda x: x.time)}
        return {line.paragraph: line for line in current(own, topics)}

    def _item(self, paragraph: str) -> Suggestion:
        if item := next((each for each in self.items if each.id == paragraph), None):
            return item
        raise UserError(f"{paragraph} is not among the paragraphs to label")

    def _write(self, item: Suggestion, names: Sequence[str] | None, note: str) -> None:
        """Add a line to the locked file of labels; without names, it takes the answer back."""
        cell, words = cell_of(names), first_words(item.text)
        when = self._latest.get(item.id, "")
        line = Label("the page", item.id, cell, words, self.annotator, when, note, item.drawn)
        written = append(self.path, line)
        self._seen, self._latest[item.id] = state_of(self.path), written.when
        self._written.add(written.when)
        if names is None:
            del self._answers[item.id]
        else:
            self._answers[item.id] = written

    def _answer(self, paragraph: str) -> dict[str, object] | None:
        """The annotator's answer as the page shows it; None if there is none."""
        answer = self._answers.get(paragraph)
        return None if answer is None else {"topics": answer.names, "note": answer.note}


def version_of(topics: Topics) -> str:
    """Digest of a codebook: of its mode and of all that its topics have."""
    return hashlib.sha256(repr(topics).encode()).hexdigest()


def application(session: Session, token: str = "") -> ASGIApp:
    """Build the web application: the page, and the requests that it sends.

    Parameters
    ----------
    token
        First part of the path of every address, which other users of this machine cannot guess;
        "", the default, for none.
    """
    page = files("paratopic.annotation").joinpath("page.html").read_text(encoding="utf-8")
    headers = HEADERS | {"Content-Security-Policy": policy(page)}
    # Made outside of the guard.
    failed = PlainTextResponse("Internal Server Error", 500, headers)

    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = refusal(request) or await call_next(request)
        response.headers.update(headers)
        return response

    # No lock is needed: nothing is awaited while the session reads or writes its answers.
    async def state(_: Request) -> Response:
        return JSONResponse(session.state())

    async def why(request: Request) -> Response:
        return JSONResponse(session.why(request.query_params.get("paragraph", "")))

    async def save(request: Request) -> Response:
        return JSONResponse(session.save(Submission.model_validate_json(await request.body())))

    async def undo(request: Request) -> Response:
        return JSONResponse(session.undo(Shown.model_validate_json(await request.body())))

    pages = [
        Route("/", HTMLResponse(page), methods=["GET"]),
        Route("/state", state),
        Route("/why", why),
        Route("/save", save, methods=["POST"]),
        Route("/undo", undo, methods=["POST"]),
    ]
    # The host's name is checked within the guard, so that its refusals have the headers too.
    middleware = [
        Middleware(BaseHTTPMiddleware, dispatch=guard),
        Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
    ]
    handlers = dict.fromkeys((404, ValidationError, UserError, OSError), not_done)
    handlers[500] = lambda *_: failed
    routes = [Mount(token and f"/{token}", routes=pages)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


def not_done(_: Request, error: Exception) -> Response:
    """Say why nothing was done: the request is of another form, refused, or cannot be saved."""
    if isinstance(error, HTTPException):
        return PlainTextResponse("not found: open the whole address that was printed", 404)
    if isinstance(error, OSError):
        return PlainTextResponse(f"Not saved: {error}", 507)
    return PlainTextResponse(str(error), 409 if isinstance(error, UserError) else 400)


def policy(page: str) -> str:
    """Content-Security-Policy that lets a page run its one inline script and style, no others."""

    def source(tag: str) -> str:
        (inline,) = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", page)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    return (
        f"default-src 'none'; script-src {source('script')}; style-src {source('style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def refusal(request: Request) -> Response | None:
    """Refuse a request that does not come from the page itself; None for one that does.

    Each web page that is open in a browser on this machine can send requests here. Its requests
    have its own Origin. If its domain name was made to point to this machine (DNS rebinding), they
    have that name as Host, which `TrustedHostMiddleware` refuses.
    """
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return PlainTextResponse(f"refused: the request comes from a page of {origin!r}", 403)
    if request.method == "POST" and request.headers.get("content-type") != "application/json":
        return PlainTextResponse("refused: the content type is not application/json", 415)
    return None


def listen(port: int, token: str = "") -> socket.socket:
    """Take a port, and print its address; requests wait there until `serve` answers them.

    Parameters
    ----------
    port
        0 for any free one.
    token
        As for `application`.

    Raises
    ------
    UserError
        The port is in use.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise UserError(
            f"port {port} cannot be used ({os.strerror(error.errno or 0)}): choose another, or "
            "--port 0 for any free one"
        ) from None
    address = f"http://{HOST}:{listener.getsockname()[1]}{token and f'/{token}'}"
    print(f"Label at {address} (press Ctrl-C to stop; every answer is saved at once)", flush=True)
    return listener


def serve(application: ASGIApp, listener: socket.socket) -> None:
    """Serve an application until Ctrl-C."""
    config = uvicorn.Config(application, lifespan="off", ws="none", log_level="warning")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
