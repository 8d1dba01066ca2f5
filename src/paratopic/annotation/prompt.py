"""What a language model is asked, and what its answer means.

The words of the question lie in the project, in `prompt.md`, where people read and change them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from paratopic.annotation.chat import BadReply
from paratopic.annotation.context import Suggestion
from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.passages import as_passage
from paratopic.project.topics import NO_TOPIC, Topics

DEFAULT = """\
You label paragraphs of articles with topics.

The topics are:

$topics
- $none: the paragraph is about no topic of this list.

$task Judge the paragraph alone; what stands around it only helps to understand it.
Answer with JSON alone, such as $example.

Title: $title
Heading: $heading
Text before: $before
Text after: $after

Paragraph:
$paragraph
"""
# What differs from paragraph to paragraph.
OWN = "title heading before after paragraph".split()
# What may stand in the template for something else.
FIELDS = ["topics", "none", "task", "example", *OWN]
# Characters that are sent of a paragraph, and of what stands on each side of it.
LONGEST, BESIDE = 8_000, 1_000


@dataclass(frozen=True)
class Prompt:
    """The question about a paragraph.

    Parameters
    ----------
    template
        Text in which `$paragraph` and the other `FIELDS` are filled in.
    """

    template: str
    topics: Topics

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change with template and codebook."""
        text = self.fill(**dict.fromkeys(OWN, ""))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def about(self, item: Suggestion) -> str:
        """The question about one paragraph."""
        return self.fill(
            title=as_passage(item.passage).title,
            heading=item.heading,
            before=" ".join(item.before)[-BESIDE:],
            after=" ".join(item.after)[:BESIDE],
            paragraph=item.text[:LONGEST],
        )

    def fill(self, **own: str) -> str:
        """The template with the codebook, and with what is known of a paragraph."""
        topics, single = self.topics, self.topics.mode == "single"
        listed = "\n".join(
            f"- {topic.name}: {topic.definition}" if topic.definition else f"- {topic.name}"
            for topic in topics.topics
        )
        task = "Choose the one topic that it is mainly about." if single else "Choose all topics."
        example = self._answer(topics.names[:1])
        return Template(self.template).substitute(
            own, topics=listed, none=NO_TOPIC, task=task, example=example
        )

    def _answer(self, names: Sequence[str]) -> str:
        """The answer that names topics, as JSON."""
        given = list(names) or [NO_TOPIC]
        answer = given[0] if self.topics.mode == "single" else given
        return json.dumps({self._key: answer}, ensure_ascii=False)

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of an answer."""
        name = {"type": "string", "enum": [*self.topics.names, NO_TOPIC]}
        value = name if self.topics.mode == "single" else {"type": "array", "items": name}
        return {
            "type": "object",
            "properties": {self._key: value},
            "required": [self._key],
            "additionalProperties": False,
        }

    def read(self, text: str) -> tuple[str, ...]:
        """Read an answer strictly: the topics in the codebook's order, () for none of them.

        Raises
        ------
        BadReply
            It is no such answer.
        """
        given: object = text.strip()
        if "{" in text:
            # Models wrap JSON in fences and sentences.
            begin, end = text.index("{"), text.rfind("}") + 1
            try:
                given = json.loads(text[begin:end])[self._key]
            except (ValueError, LookupError, TypeError, RecursionError):
                raise BadReply(f"not the JSON that was asked for: {_short(text)}") from None
        every = given if isinstance(given, list) else [given]
        names = [name for name in every if isinstance(name, str)]
        if len(names) < len(every) or not names:
            raise BadReply(f"no topic: {_short(text)}")
        chosen = [self._meant(name) for name in names]
        if None in chosen:
            raise BadReply(f"not in the codebook: {_short(text)}")
        distinct = dict.fromkeys(name for name in chosen if name is not None)
        if len(distinct) > 1 and (self.topics.mode == "single" or NO_TOPIC in distinct):
            raise BadReply(f"several topics: {_short(text)}")
        # In the codebook's order, so that two answers with the same topics are equal.
        return tuple(name for name in self.topics.names if name in distinct)

    def _meant(self, text: str) -> str | None:
        """The name that a text is, or the only one that is like it; None if there is no such."""
        known = (*self.topics.names, NO_TOPIC)
        if text in known:
            return text
        alike = [name for name in known if _bare(name) == _bare(text)]
        return alike[0] if len(alike) == 1 else None

    @property
    def _key(self) -> str:
        return "topic" if self.topics.mode == "single" else "topics"


def read_prompt(path: Path, topics: Topics) -> Prompt:
    """Read the template of a project, or write the default one where there is none.

    Raises
    ------
    UserError
        It has a field that nothing fills in, or no place for the paragraph or the topics.
    """
    if not path.exists():
        files.write_text(path, DEFAULT)
    text = files.decode(path.read_bytes(), str(path))
    template = Template(text)
    if not template.is_valid() or (unknown := set(template.get_identifiers()) - set(FIELDS)):
        which = ", ".join(sorted(unknown)) if template.is_valid() else "a single $"
        raise UserError(
            f"{path}: {which} cannot be filled in; write $$ for a dollar, and of fields there are "
            f"{', '.join(f'${name}' for name in FIELDS)}"
        )
    for name in ("topics", "paragraph"):
        if name not in template.get_identifiers():
            raise UserError(f"{path}: the place of ${name} is missing: write it where it belongs")
    return Prompt(text, topics)


def _bare(name: str) -> str:
    """A name without what models write around it, and in small letters."""
    return name.strip().strip("\"'.`").casefold()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:80]} …"
