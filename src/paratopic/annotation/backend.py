"""Label Studio's ML backend: the model's predictions for its tasks, and labels from its events.

Label Studio asks whether the backend is up and which version its model has, sends tasks to be
predicted, and reports each annotation as it is saved. This module does not decide which answer
counts, or how labels are added to labels.csv: the caller does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from paratopic.annotation import web
from paratopic.annotation.formats import label_studio_prediction
from paratopic.annotation.web import Guard, answered, read_body
from paratopic.inference.folder import MANIFEST, digest_of
from paratopic.inference.loading import current_folder, load
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.project.files import printable
from paratopic.project.topics import ModeName

# Highest number of bytes in a request: of tasks, thousands.
LONGEST = 32_000_000
# Events that carry annotations; the second one's were made of predictions, many at a time.
SAVED = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED")
TRAINING = "START_TRAINING"
# Command that trains; DVC itself refuses to run twice in a project.
TRAIN = (sys.executable, "-m", "dvc", "repro")

_POLICY = "default-src 'none'; frame-ancestors 'none'"

Object = dict[str, Any]


class CurrentModel:
    """A model that is loaded anew when its folder has another one, as after `dvc repro`.

    While there is none, because DVC removes a model before it trains it again, the model before
    goes on predicting.

    Parameters
    ----------
    folder
        As for `load`.

    Raises
    ------
    UserError
        There is no model, or it is damaged.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._model, self._version = self._load(current_folder(folder))
        self._problem = ""

    def get(self) -> tuple[Model, str]:
        """The model as it is now, and its version: the digest of its folder."""
        with self._lock:
            try:
                folder = current_folder(self._folder)
                if digest_of(folder) != self._version:
                    self._model, self._version = self._load(folder)
                    _note(f"another model predicts from now on: {folder}")
                self._problem = ""
            except (UserError, OSError) as error:
                if str(error) != self._problem:
                    _note(f"the model before goes on predicting ({error})")
                self._problem = str(error)
            return self._model, self._version

    @staticmethod
    def _load(folder: Path) -> tuple[Model, str]:
        # The digest first: if the folder changes meanwhile, the next request sees another one.
        version = digest_of(folder) if (folder / MANIFEST).exists() else ""
        return load(folder), version


class Backend:
    """What Label Studio asks of an ML backend.

    Parameters
    ----------
    model
        Model that predicts.
    mode
        Mode of the codebook.
    add
        Function from tasks as in an export of Label Studio to messages about the annotations that
        could not be added to labels.csv; it adds the others.
    judged
        Function that reads the ids and the texts of the paragraphs that somebody has labelled. What
        the model thinks of them is hidden: whoever is shown one is to answer without it, as on the
        labelling page.
    blind
        Whether to hide what the model thinks of all paragraphs.
    """

    def __init__(
        self,
        model: CurrentModel,
        mode: ModeName,
        add: Callable[[list[Object]], list[str]],
        judged: Callable[[], set[str]],
        blind: bool = False,
    ) -> None:
        self._model, self._mode, self._add = model, mode, add
        self._judged, self._blind = judged, blind
        self._training: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def setup(self, request: Object) -> Object:
        """Version of the model, by which Label Studio notices that it needs new predictions."""
        return {"model_version": self._model.get()[1]}

    def predict(self, request: Object) -> Object:
        """Predict tasks.

        Parameters
        ----------
        request
            Its "tasks" is a list of n tasks, each with an object "data".

        Returns
        -------
        The model's version and n results: each a list with one prediction, or an empty one where
        the task has no text or what the model thinks of it is hidden.

        Raises
        ------
        UserError
            The request has another form, or labels.csv cannot be read.
        """
        tasks = _objects(request, "tasks")
        data = [_object(task, "data") for task in tasks]
        judged = self._judged()
        texts = ["" if self._blind else _text_to_predict(each, judged) for each in data]
        model, version = self._model.get()
        results = [
            [label_studio_prediction(answer.scores, self._mode, version)] if answer.windows else []
            for answer in model.predict(texts)
        ]
        return {"results": results, "model_version": version}

    def webhook(self, request: Object) -> Object:
        """Take in an event: add annotations that were saved to labels.csv, or start to train.

        Other events change nothing.

        Returns
        -------
        Messages about annotations that could not be added.

        Raises
        ------
        UserError
            The event has another form, or labels.csv cannot be read.
        """
        action = request.get("action")
        if not isinstance(action, str):
            raise UserError('an event has to name its "action"')
        if action == TRAINING:
            self._train()
        if action not in SAVED:
            return {"problems": []}
        annotations = _objects(request, "annotation")
        tasks = _objects(request, "task")
        if len(tasks) != len(annotations):
            raise UserError(f"{len(annotations)} annotations are not of {len(tasks)} tasks")
        exported = [
            task | {"data": _object(task, "data"), "annotations": [annotation]}
            for task, annotation in zip(tasks, annotations, strict=True)
        ]
        problems = self._add(exported)
        # A message may quote half a letter, which no answer can hold.
        return {"problems": [printable(problem) for problem in problems]}

    def _train(self) -> None:
        """Start to train in the background, unless that goes on already."""
        with self._lock:
            if self._training is not None and self._training.poll() is None:
                _note("dvc repro is running already")
                return
            _note("dvc repro is started")
            self._training = subprocess.Popen(TRAIN)


def application(backend: Backend, port: int, token: str | None = None) -> ASGIApp:
    """Build the web application that Label Studio sends requests to.

    Parameters
    ----------
    backend
        What answers them.
    port
        Port that it is served on.
    token
        As for `web.Guard`.
    """

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "UP"})

    def post(path: str, action: Callable[[Object], Object]) -> Route:
        async def answer(request: Request) -> Response:
            body = await read_body(request, LONGEST)
            if body is None:
                limit = f"a request may have {LONGEST} bytes: select fewer tasks"
                response: Response = PlainTextResponse(limit, 413)
            else:
                # In a thread: the next health check has to be answered within a second.
                response = await run_in_threadpool(answered, lambda: action(_read(body)), 400)
            if response.status_code != 200:  # of which Label Studio shows the number alone
                _note(f"{path}: {bytes(response.body).decode()}")
            return response

        return Route(path, answer, methods=["POST"])

    routes = [
        Route("/", health),
        Route("/health", health),
        post("/setup", backend.setup),
        post("/predict", backend.predict),
        post("/webhook", backend.webhook),
    ]
    return Guard(Starlette(routes=routes), port, _POLICY, token)


def serve(backend: Backend, host: str, port: int, token: str | None) -> None:
    """Serve the backend until Ctrl-C.

    Parameters
    ----------
    backend
        What answers the requests.
    host
        Address of this machine to serve on.
    port
        Port to serve on; 0 for any free one.
    token
        As for `web.Guard`.

    Raises
    ------
    UserError
        As for `web.serve`.
    """
    greeting = "Label Studio's backend is at {address} (press Ctrl-C to stop)"
    web.serve(lambda port: application(backend, port, token), greeting, port, host)


def _note(message: str) -> None:
    print(f"note: {message}", file=sys.stderr, flush=True)


def _read(body: bytes) -> Object:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the request is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise UserError("the request is not a JSON object")
    return request


def _objects(request: Object, key: str) -> list[Object]:
    """A list of objects in a request; an object alone is a list of one."""
    value = request.get(key)
    objects: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in objects):
        raise UserError(f'"{key}" has to be an object or a list of objects')
    return objects


def _object(task: Object, key: str) -> Object:
    value = task.get(key)
    if not isinstance(value, dict):
        raise UserError(f'"{key}" of a task has to be an object')
    return value


def _text_to_predict(data: Object, judged: set[str]) -> str:
    """Text of a task; "", of which nothing is predicted, if its paragraph is among the judged."""
    text = data.get("text")
    if not isinstance(text, str) or {str(data.get("paragraph")), text.strip()} & judged:
        return ""
    return text
