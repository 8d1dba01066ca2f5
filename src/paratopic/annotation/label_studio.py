"""What Label Studio reads and writes: its labelling configuration, tasks, and exports as JSON.

Which paragraph and which topics an answer means is not checked here (`exchange` does that).
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import jinja2
from pydantic import BaseModel, TypeAdapter, ValidationError

from paratopic.annotation.suggestion import Suggestion
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics, topics_in_words

# Choice "none of the topics", because choosing nothing means undecided.
NONE_CHOICE = f"({topics_in_words(())})"
# Controls: name, what stands above, how many may be chosen. The first shows the suggestion.
DOMINANT = "dominant"
ONE = (DOMINANT, "Dominant topic", "single"), ("others", "Other topics that apply", "multiple")
ALL = (("topics", "Topics that apply", "multiple"),)
# Text field for notes.
NOTE = "note"
# What is between neighbouring paragraphs in a task.
BETWEEN = "\n\n"
# The labelling configuration, which the codebook fills in.
TEMPLATE = Path(__file__).with_name("label_studio.xml")


class Value(BaseModel):
    """What was chosen or written in a control; those of other kinds have neither."""

    choices: list[str] = []
    text: list[str] | str = []


class Result(BaseModel):
    """What an annotator did in one control, which `from_name` names."""

    from_name: str = ""
    value: Value = Value()


class Annotation(BaseModel):
    """One annotator's answer to a task."""

    result: list[Result] = []
    was_cancelled: bool = False
    # A number, an e-mail address, or an object that has either.
    completed_by: object = None
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def when(self) -> str:
        """Time of the answer; "" where it is not known."""
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
        """Name of the annotator: 1 → "label-studio-1", {"email": "bo@b.org"} → "bo@b.org"."""
        who = self.completed_by
        if isinstance(who, dict):
            who = who.get("email") or who.get("id")
        if who is None:
            return ""
        return who if isinstance(who, str) else f"label-studio-{who}"


class Task(BaseModel):
    """A text to label, with the data that it was imported with, and its annotations."""

    id: int | str = ""
    data: dict[str, object]
    annotations: list[Annotation]

    def cell(self, name: str) -> str:
        """One of the data that `task_of` writes; "" if the task has none."""
        return str(self.data.get(name) or "").strip()


_EXPORT = TypeAdapter(list[Task])


def read_export(path: Path) -> list[Task]:
    """Read the tasks in an export.

    Raises
    ------
    UserError
        The file cannot be read, or is no export as JSON.
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


def task_of(suggestion: Suggestion, before: str, topics: Topics, model: str) -> dict[str, object]:
    """A task to import; see `exchange.write_tasks`.

    Its data name the paragraph `before` it if it was drawn: an export lacks tasks without an
    answer, and so does not tell whether those that it has are the first ones of the draw.
    """
    data = {
        "paragraph": suggestion.id,
        "article": suggestion.article,
        "title": suggestion.title,
        "heading": suggestion.heading,
        "before": BETWEEN.join(suggestion.before),
        "text": suggestion.text,
        "after": BETWEEN.join(suggestion.after),
        "reason": suggestion.reason,
        "drawn": suggestion.drawn,
        "drawn_after": before if suggestion.drawn else "",
    }
    if not suggestion.scores:
        return {"data": data}
    value, score = {"choices": [suggestion.topic]}, round(suggestion.confidence, 4)
    control = {"from_name": _controls(topics)[0][0], "to_name": "text", "type": "choices"}
    predicted = {"model_version": model, "score": score, "result": [control | {"value": value}]}
    return {"data": data, "predictions": [predicted]}


def _controls(topics: Topics) -> tuple[tuple[str, str, str], ...]:
    return ONE if topics.most == 1 else ALL
