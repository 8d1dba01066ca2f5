"""The labelling page: one paragraph at a time, by keyboard, each vote saved to labels.csv.

Only browsers on this machine can open the page, and it loads nothing from elsewhere. The caller
chooses the paragraphs.
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
from paratopic.labels.log import Label, append, cell_of, first_words, locked, read_lines, state_of
from paratopic.labels.votes import latest_votes
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics

HOST = "127.0.0.1"
# Headers of every response; `application` adds the policy for its content.
HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class PageAction(BaseModel):
    """An action on the page, with the `codebook_version` of the codebook that the page shows."""

    codebook: str


class Submission(PageAction):
    """A vote to save: the paragraph's id, its topics, and a note."""

    id: str
    topics: list[str]
    note: str


@dataclass
class Session:
    """Work of one annotator on some paragraphs.

    The codebook may change during a session. Topics chosen from the old codebook may then have
    another meaning, so nothing is saved or undone until the page shows the new one.

    Parameters
    ----------
    path
        File of labels. Every vote is on the disk before it is confirmed.
    read_topics
        Function that reads the present codebook.
    explain
        Function from a paragraph's id to the explanation of the model's prediction; None, the
        default, if the page shows no explanations.
    """

    path: Path
    annotator: str
    items: Sequence[Suggestion]
    read_topics: Callable[[], Topics]
    explain: Callable[[str], Explanation] | None = None
    _topics: Topics | None = field(default=None, init=False)
    _votes: dict[str, Label] = field(default_factory=dict, init=False)
    # State of the file when it was last read or written, and paragraph → time of its latest line.
    _file_state: object = field(default=None, init=False)
    _latest_times: dict[str, str] = field(default_factory=dict, init=False)
    # The votes with this codebook: paragraph, replaced vote, and the vote as the page shows it.
    _history: list[tuple[Suggestion, Label | None, object]] = field(
        default_factory=list, init=False
    )
    # Times of the lines that this session wrote.
    _written_times: set[str] = field(default_factory=set, init=False)

    def state(self) -> dict[str, Any]:
        """Everything that the page shows, as JSON.

        The keys are annotator, codebook (its version), most (topics of a vote), topics (each a name
        and a definition), items (each a suggestion without title, drawn and when, with its
        `_shown_vote` as answer), explains (whether there are explanations) and sample (whether any
        item was drawn). A `UserError` reports that the codebook or the labels cannot be read.
        """
        topics = self._current_topics()
        items = []
        for item in self.items:
            fields = asdict(item) | {"answer": self._shown_vote(item.id)}
            for hidden in ("title", "drawn", "when"):
                del fields[hidden]
            items.append(fields)
        return {
            "annotator": self.annotator,
            "codebook": codebook_version(topics),
            "most": topics.max_topics,
            "topics": [{"name": t.name, "definition": t.definition} for t in topics.topics],
            "items": items,
            "explains": self.explain is not None,
            "sample": any(item.drawn for item in self.items),
        }

    def why(self, paragraph: str) -> dict[str, Any]:
        """Explain the model's prediction for a paragraph, as JSON.

        The keys are topic (the predicted one, or else the most probable one) and sentences, which
        each have a text and a share, the decrease of the topic's logit without the sentence. A
        `UserError` reports a paragraph that is not in this session, or whose prediction is hidden.
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

    def save(self, submission: Submission) -> dict[str, Any]:
        """Write a vote to the file of labels: topics, the dominant one first; [] for none of them.

        Returns
        -------
        The keys id (of the paragraph) and answer, its vote (`_shown_vote`). If the codebook differs
        from that of the page, or votes of the session have been withdrawn elsewhere, nothing is
        saved, and the only key is state (`state`).

        Raises
        ------
        UserError
            The paragraph is not in this session, a topic is unknown, or `state` raises it.
        """
        item, previous_votes = self._item(submission.id), self._votes
        with locked(self.path):  # The codebook must not change before the line is written.
            topics = self._current_topics()
            is_new_codebook = submission.codebook != codebook_version(topics)
            if is_new_codebook or previous_votes.keys() - self._votes.keys():
                return {"state": self.state()}
            names, replaced = topics.check(submission.topics, item.id), self._votes.get(item.id)
            self._write(item, names, submission.note)
        self._history.append((item, replaced, self._shown_vote(item.id)))
        return {"id": item.id, "answer": self._shown_vote(item.id)}

    def undo(self, action: PageAction) -> dict[str, Any]:
        """Undo the session's last vote: write the vote that it replaced again, or withdraw it.

        Returns
        -------
        The keys id (of the paragraph), answer, its present vote (`_shown_vote`), and undone, the
        undone vote, which the annotator can correct. If the codebook differs from that of the page,
        nothing is undone, and the only key is state (`state`).

        Raises
        ------
        UserError
            This session has no vote to undo, the paragraph was labelled anew elsewhere (the next
            call undoes the vote before), or `state` raises it.
        """
        with locked(self.path):
            topics = self._current_topics()
            if action.codebook != codebook_version(topics):
                return {"state": self.state()}
            if not self._history:
                raise UserError("there is nothing to undo")
            item, replaced, undone = self._history[-1]
            is_own = self._latest_times.get(item.id) in self._written_times
            if self._shown_vote(item.id) != undone or not is_own:
                self._history.pop()
                raise UserError(
                    f"{item.id} was answered anew in another window; reload the page to see it"
                )
            names, note = (replaced.names, replaced.note) if replaced else (None, "")
            self._write(item, names, note)
        self._history.pop()
        return {"id": item.id, "answer": self._shown_vote(item.id), "undone": undone}

    def _current_topics(self) -> Topics:
        """Read the codebook, and votes if it or their file changed; a new one clears `_history`."""
        topics = self.read_topics()
        if topics != self._topics or state_of(self.path) != self._file_state:
            self._votes = self._own_votes(topics)
            self._history = self._history if topics == self._topics else []
            self._topics = topics
        return topics

    def _own_votes(self, topics: Topics) -> dict[str, Label]:
        """Read the file, its state and its times: paragraph → this annotator's vote that counts."""
        self._file_state = state_of(self.path)
        lines = read_lines(self.path) if self.path.exists() else []
        keys = {(item.id, self.annotator) for item in self.items}
        own_lines = [line for line in lines if (line.paragraph, line.annotator) in keys]
        by_time = sorted(own_lines, key=lambda line: line.time)
        self._latest_times = {line.paragraph: line.when for line in by_time}
        return {line.paragraph: line for line in latest_votes(own_lines, topics)}

    def _item(self, paragraph: str) -> Suggestion:
        for item in self.items:
            if item.id == paragraph:
                return item
        raise UserError(f"{paragraph} is not among the paragraphs to label")

    def _write(self, item: Suggestion, names: Sequence[str] | None, note: str) -> None:
        """Append a vote to the file, which the caller has locked, and update the session's votes.

        Names () mean none of the topics. None withdraws the annotator's vote, which must exist.
        """
        cell, words = cell_of(names), first_words(item.text)
        when = self._latest_times.get(item.id, "")
        line = Label("the page", item.id, cell, words, self.annotator, when, note, item.drawn)
        written = append(self.path, line)
        self._file_state, self._latest_times[item.id] = state_of(self.path), written.when
        self._written_times.add(written.when)
        if names is None:
            del self._votes[item.id]
        else:
            self._votes[item.id] = written

    def _shown_vote(self, paragraph: str) -> dict[str, object] | None:
        """The annotator's vote as the page shows it, its topics and note; None if there is none."""
        vote = self._votes.get(paragraph)
        return None if vote is None else {"topics": vote.names, "note": vote.note}


def codebook_version(topics: Topics) -> str:
    """Digest of a codebook, with its mode and all fields of its topics."""
    return hashlib.sha256(repr(topics).encode()).hexdigest()


def application(session: Session, token: str = "") -> ASGIApp:
    """Build the application: the page at /, and `Session` methods at /state, /why, /save, /undo.

    The methods reply with JSON. /why has the query ``paragraph``, an id; /save and /undo take a
    POST with a `Submission` or a `PageAction`. `refusal` and `error_response` reply to mistakes.

    Parameters
    ----------
    token
        Secret first part of the path of every address, so that other users of this machine cannot
        open the page; "", the default, for none.
    """
    page = files("paratopic.annotation").joinpath("page.html").read_text(encoding="utf-8")
    headers = HEADERS | {"Content-Security-Policy": content_policy(page)}
    # This response needs the headers here, because errors of the server bypass the guard.
    server_error = PlainTextResponse("Internal Server Error", 500, headers)

    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = refusal(request) or await call_next(request)
        response.headers.update(headers)
        return response

    # No lock is needed, because nothing is awaited while the session reads or writes votes.
    async def state(_: Request) -> Response:
        return JSONResponse(session.state())

    async def why(request: Request) -> Response:
        return JSONResponse(session.why(request.query_params.get("paragraph", "")))

    async def save(request: Request) -> Response:
        return JSONResponse(session.save(Submission.model_validate_json(await request.body())))

    async def undo(request: Request) -> Response:
        return JSONResponse(session.undo(PageAction.model_validate_json(await request.body())))

    pages = [
        Route("/", HTMLResponse(page), methods=["GET"]),
        Route("/state", state),
        Route("/why", why),
        Route("/save", save, methods=["POST"]),
        Route("/undo", undo, methods=["POST"]),
    ]
    # The check of the host's name runs within the guard, so that its refusals have the headers.
    middleware = [
        Middleware(BaseHTTPMiddleware, dispatch=guard),
        Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
    ]
    handlers = dict.fromkeys((404, ValidationError, UserError, OSError), error_response)
    handlers[500] = lambda *_: server_error
    routes = [Mount(token and f"/{token}", routes=pages)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


def error_response(_: Request, error: Exception) -> Response:
    """The error as text: status 404, 409 (`UserError`), 507 (file not written), or else 400."""
    if isinstance(error, HTTPException):
        return PlainTextResponse("not found: open the whole address that was printed", 404)
    if isinstance(error, OSError):
        return PlainTextResponse(f"Not saved: {error}", 507)
    return PlainTextResponse(str(error), 409 if isinstance(error, UserError) else 400)


def content_policy(page: str) -> str:
    """Content-Security-Policy that allows only the one inline <script> and <style> of a page."""

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
    """Response to a request from another Origin (403) or a POST without JSON (415); else None.

    Every page in a browser here can send requests, with its own Origin. If its domain name points
    to this machine (DNS rebinding), that name is the Host, which `TrustedHostMiddleware` refuses.
    """
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return PlainTextResponse(f"refused: the request comes from a page of {origin!r}", 403)
    if request.method == "POST" and request.headers.get("content-type") != "application/json":
        return PlainTextResponse("refused: the content type is not application/json", 415)
    return None


def listen(port: int, token: str = "") -> socket.socket:
    """Listen on a port (0 for any free one) and print its address; `serve` answers the requests.

    `token` is that of `application`. A `UserError` reports that the port cannot be used.
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
