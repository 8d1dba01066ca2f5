"""Files of Label Studio: its labelling configuration, tasks, and exports as JSON.

`exchange` checks the paragraphs and topics of annotations.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import jinja2
from pydantic import BaseModel, TypeAdapter, ValidationError

from paratopic.annotation.suggestion import Suggestion
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics, topics_in_words

# Choice "none of the topics"; a task without a choice is undecided.
NONE_CHOICE = f"({topics_in_words(())})"
# Controls: name, heading, number of choices. The first control shows the suggestion.
DOMINANT = "dominant"
SINGLE_CONTROLS = (
    (DOMINANT, "Dominant topic", "single"),
    ("others", "Other topics that apply", "multiple"),
)
MULTI_CONTROLS = (("topics", "Topics that apply", "multiple"),)
# Text field for notes.
NOTE = "note"
# Text between neighbouring paragraphs in a task.
SEPARATOR = "\n\n"
# Template of the labelling configuration.
TEMPLATE = Path(__file__).with_name("label_studio.xml")


class Value(BaseModel):
    """The choices or the text in a control; other kinds of controls have neither."""

    choices: list[str] = []
    text: list[str] | str = []


class Result(BaseModel):
    """An annotator's input in the control `from_name`."""

    from_name: str = ""
    value: Value = Value()


class Annotation(BaseModel):
    """One annotator's vote on a task."""

    result: list[Result] = []
    was_cancelled: bool = False
    # A number, an e-mail address, or an object that has either.
    completed_by: object = None
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def when(self) -> str:
        """Time of the vote; "" if it is not known."""
        return self.updated_at or self.created_at or ""

    @property
    def topics(self) -> tuple[str, ...]:
        """The chosen topics, the dominant one first."""
        dominant_first = sorted(self.result, key=lambda item: item.from_name != DOMINANT)
        return tuple(name for item in dominant_first for name in item.value.choices)

    @property
    def note(self) -> str:
        """The annotator's comment."""
        texts = [item.value.text for item in self.result if item.from_name == NOTE]
        return " ".join(text if isinstance(text, str) else " ".join(text) for text in texts)

    @property
    def annotator(self) -> str:
        """The annotator's name: 1 → "label-studio-1", {"email": "bo@b.org"} → "bo@b.org"; or ""."""
        user = self.completed_by
        if isinstance(user, dict):
            user = user.get("email") or user.get("id")
        if user is None:
            return ""
        return user if isinstance(user, str) else f"label-studio-{user}"


class Task(BaseModel):
    """A text to label, with the data of its import, and its annotations."""

    id: int | str = ""
    data: dict[str, object]
    annotations: list[Annotation]

    def cell(self, name: str) -> str:
        """A value of the data that `make_task` writes; "" if the task lacks it."""
        return str(self.data.get(name) or "").strip()


_EXPORT = TypeAdapter(list[Task])


def read_export(path: Path) -> list[Task]:
    """Read all tasks, also those without annotations, from an export of Label Studio as JSON.

    A `UserError` reports a file that cannot be read or is no such export.
    """
    try:
        return _EXPORT.validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise UserError(
            f"{path} is not a JSON export of Label Studio ({place}: {problem['msg']}): export as "
            "JSON, not as JSON-MIN or CSV"
        ) from None


def configuration(topics: Topics) -> str:
    """The labelling configuration, as XML (Settings → Labeling Interface → Code)."""
    template = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"))
    values = {"topics": topics, "controls": _controls(topics), "note": NOTE}
    values["no_topic"] = NONE_CHOICE
    return f"{template.render(values, attribute=quoteattr)}\n"


def make_task(
    suggestion: Suggestion, previous_id: str, topics: Topics, model: str
) -> dict[str, object]:
    """Make a task: ``data`` of a suggestion and, if it has scores, ``predictions`` of its `topic`.

    ``data`` has the texts paragraph (its id), article, title, heading, before, text, after, reason,
    drawn and drawn_after. The last is `previous_id`, the paragraph before it, "" for none or if it
    was not drawn: an export lacks tasks without annotations, and so would not show gaps in a draw.
    """
    data = {
        "paragraph": suggestion.id,
        "article": suggestion.article,
        "title": suggestion.title,
        "heading": suggestion.heading,
        "before": SEPARATOR.join(suggestion.before),
        "text": suggestion.text,
        "after": SEPARATOR.join(suggestion.after),
        "reason": suggestion.reason,
        "drawn": suggestion.drawn,
        "drawn_after": previous_id if suggestion.drawn else "",
    }
    if not suggestion.scores:
        return {"data": data}
    value = {"choices": [suggestion.topic]}
    score = round(suggestion.confidence, 4)
    control = {"from_name": _controls(topics)[0][0], "to_name": "text", "type": "choices"}
    prediction = {"model_version": model, "score": score, "result": [control | {"value": value}]}
    return {"data": data, "predictions": [prediction]}


def _controls(topics: Topics) -> tuple[tuple[str, str, str], ...]:
    return SINGLE_CONTROLS if topics.max_topics == 1 else MULTI_CONTROLS
