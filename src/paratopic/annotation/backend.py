"""Label Studio's ML backend: the model's predictions for its tasks, and labels from its events.

Label Studio asks whether the backend is up and which version its model has, sends tasks to be
predicted, and reports each annotation as it is saved. This module does not decide which answer
counts, or how labels are added to labels.csv: the caller does.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from paratopic.annotation.label_studio import BETWEEN, Annotation, Task, prediction
from paratopic.annotation.web import Guard, answered
from paratopic.inference.folder import MANIFEST, digest_of
from paratopic.inference.loading import current_folder, load
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.project.passages import Passage, Text, section_heading
from paratopic.project.topics import ModeName

# Events that carry annotations; the second one's were made of predictions, many at a time.
SAVED = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED")
TRAINING = "START_TRAINING"
# Command that trains; DVC itself refuses to run twice in a project.
TRAIN = (sys.executable, "-m", "dvc", "repro")

_POLICY = "default-src 'none'; frame-ancestors 'none'"

Object = dict[str, Any]
# One object, or a list of objects.
_Listed = BeforeValidator(lambda value: value if isinstance(value, list) else [value])


class ToPredict(BaseModel):
    """A request for predictions."""

    tasks: list[Task]


class Event(BaseModel):
    """Something that happened in Label Studio."""

    action: str


class Saved(BaseModel):
    """An event of annotations: the tasks, and one annotation of each."""

    task: Annotated[list[Task], _Listed]
    annotation: Annotated[list[Annotation], _Listed]


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
                    _note(f"a new model predicts from now on: {folder}")
                self._problem = ""
            except (UserError, OSError) as error:
                if str(error) != self._problem:
                    _note(f"the previous model goes on predicting ({error})")
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
        Function from tasks, each with an annotation, to messages about the annotations that could
        not be added to labels.csv; it adds the others.
    judged
        Function that reads the ids of the paragraphs that somebody has labelled. What the model
        thinks of them is hidden: whoever is shown one is to answer without it, as on the labelling
        page. It is hidden for paragraphs drawn at random as well, so that Label Studio cannot order
        them by it.
    blind
        Whether to hide what the model thinks of all paragraphs.
    """

    def __init__(
        self,
        model: CurrentModel,
        mode: ModeName,
        add: Callable[[Iterable[tuple[Task, Annotation]]], list[str]],
        judged: Callable[[], set[str]],
        blind: bool = False,
    ) -> None:
        self._model, self._mode, self._add = model, mode, add
        self._judged, self._blind = judged, blind
        self._training: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def setup(self, body: bytes) -> Object:
        """Version of the model, by which Label Studio notices that it needs new predictions."""
        return {"model_version": self._model.get()[1]}

    def predict(self, body: bytes) -> Object:
        """Predict the n tasks of a request.

        Returns
        -------
        The model's version and n results: each a list with one prediction, or an empty one where
        the task has no text or what the model thinks of it is hidden.

        Raises
        ------
        ValidationError
            The request has another form.
        UserError
            labels.csv cannot be read.
        """
        tasks, judged = ToPredict.model_validate_json(body).tasks, self._judged()
        texts = [_text_to_predict(task, judged) for task in tasks]
        if self._blind:
            texts = [""] * len(texts)
        model, version = self._model.get()
        results = [
            [prediction(answer.scores, self._mode, version)] if answer.windows else []
            for answer in model.predict(texts)
        ]
        return {"results": results, "model_version": version}

    def webhook(self, body: bytes) -> Object:
        """Take in an event: add annotations that were saved to labels.csv, or start to train.

        Other events change nothing.

        Returns
        -------
        Messages about annotations that could not be added.

        Raises
        ------
        ValidationError
            The event has another form.
        UserError
            labels.csv cannot be read.
        """
        action = Event.model_validate_json(body).action
        if action == TRAINING:
            self._train()
        if action not in SAVED:
            return {"problems": []}
        saved = Saved.model_validate_json(body)
        if len(saved.task) != len(saved.annotation):
            raise UserError(
                f"{len(saved.annotation)} annotations do not match {len(saved.task)} tasks"
            )
        return {"problems": self._add(zip(saved.task, saved.annotation, strict=True))}

    def _train(self) -> None:
        """Start to train in the background, unless that goes on already."""
        with self._lock:
            if self._training is not None and self._training.poll() is None:
                _note("dvc repro is already running")
                return
            _note("dvc repro was started")
            self._training = subprocess.Popen(TRAIN)


def application(backend: Backend, token: str | None = None) -> ASGIApp:
    """Build the web application that Label Studio sends requests to.

    Parameters
    ----------
    backend
        What answers them.
    token
        As for `web.Guard`.
    """

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "UP"})

    def post(path: str, action: Callable[[bytes], Object]) -> Route:
        async def answer(request: Request) -> Response:
            body = await request.body()
            # In a thread: the next health check has to be answered within a second.
            response = await run_in_threadpool(answered, lambda: action(body), 400)
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
    return Guard(Starlette(routes=routes), _POLICY, token)


def _note(message: str) -> None:
    print(f"note: {message}", file=sys.stderr, flush=True)


def _text_to_predict(task: Task, judged: set[str]) -> Text:
    """Text of a task with what the task has around it.

    It is "", of which nothing is predicted, if its paragraph was drawn or is among the judged.
    """
    text = task.data.get("text")
    if not isinstance(text, str) or task.drawn or task.paragraph in judged:
        return ""
    around = (task.data.get(name) for name in ("before", "after", "heading", "title"))
    before, after, heading, title = (part if isinstance(part, str) else "" for part in around)
    return Passage(
        text, before.split(BETWEEN), after.split(BETWEEN), section_heading(heading, title), title
    )
