"""Ask a language model about many paragraphs: the question, what its answer means, and the asking.

The words of the question lie in the project, in `prompt.md`, where people read and change them.
Several paragraphs are asked about at a time, and answers come as they are ready. Which paragraphs
these are, and where answers are written, is for the caller.
"""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from paratopic.annotation.chat import BadReply, Chat, Message, estimate
from paratopic.annotation.suggestion import Suggestion
from paratopic.project import files
from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics

# Tokens of an answer, for the estimate of what will be spent.
ANSWER_TOKENS = 15
# The question of a new project.
DEFAULT = Path(__file__).with_name("prompt.md").read_text(encoding="utf-8")
# What differs from paragraph to paragraph.
OWN = "title heading before after paragraph".split()
# What may stand in the template for something else.
FIELDS = ["topics", "none", "task", "example", *OWN]
# Characters that are sent of a paragraph, and of what stands on each side of it.
LONGEST, CONTEXT_CHARACTERS = 8_000, 1_000


@dataclass(frozen=True)
class Prompt:
    """The question about a paragraph: a text in which `FIELDS`, such as $paragraph, are filled."""

    template: str
    topics: Topics

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change with template and codebook."""
        text = self.fill(**dict.fromkeys(OWN, ""))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def expected_tokens(self, item: Suggestion) -> int:
        """Estimate of the tokens that will be read and written about a paragraph."""
        return estimate(len(self.question(item))) + ANSWER_TOKENS

    def question(self, item: Suggestion) -> str:
        """The question about one paragraph."""
        return self.fill(
            title=item.title,
            heading=item.heading,
            before=" ".join(item.before)[-CONTEXT_CHARACTERS:],
            after=" ".join(item.after)[:CONTEXT_CHARACTERS],
            paragraph=item.text[:LONGEST],
        )

    def fill(self, **own: str) -> str:
        """The template with the codebook, and with what is known of a paragraph."""
        key, task, value, _ = self._form
        example, none = json.dumps({key: value}, ensure_ascii=False), self.topics.choices[-1]
        listed = "\n".join(
            f"- {topic.name}: {topic.definition}" if topic.definition else f"- {topic.name}"
            for topic in self.topics.topics
        )
        return Template(self.template).substitute(
            own, topics=listed, none=none, task=task, example=example
        )

    @property
    def schema(self) -> dict[str, object]:
        """JSON schema of an answer."""
        key, _, _, value = self._form
        return {
            "type": "object",
            "properties": {key: value},
            "required": [key],
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
                given = json.loads(text[begin:end])[self._form[0]]
            except (ValueError, LookupError, TypeError, RecursionError):
                raise BadReply(f"not the JSON that was asked for: {_short(text)}") from None
        every = given if isinstance(given, list) else [given]
        names = [name for name in every if isinstance(name, str)]
        if len(names) < len(every) or not names:
            raise BadReply(f"no topic: {_short(text)}")
        chosen = {self._meant(name) for name in names}
        if None in chosen:
            raise BadReply(f"not in the codebook: {_short(text)}")
        if len(chosen) > (1 if self.topics.choices[-1] in chosen else self.topics.most):
            raise BadReply(f"several topics: {_short(text)}")
        # In the codebook's order, so that two answers with the same topics are equal.
        return tuple(name for name in self.topics.names if name in chosen)

    def _meant(self, text: str) -> str | None:
        """The name that a text is, or the only one that is like it; None if there is no such."""
        known = self.topics.choices
        alike = [text] if text in known else [name for name in known if _bare(name) == _bare(text)]
        return alike[0] if len(alike) == 1 else None

    @property
    def _form(self) -> tuple[str, str, object, dict[str, object]]:
        """Key of the answer, the task, and the value of the key: an example, and its schema."""
        name: dict[str, object] = {"type": "string", "enum": list(self.topics.choices)}
        first, key = self.topics.names[0], f"topic{self.topics.labels.plural}"
        if self.topics.most == 1:
            return key, "Choose the one topic that it is mainly about.", first, name
        return key, "Choose all topics.", [first], {"type": "array", "items": name}


def read_prompt(path: Path, topics: Topics) -> Prompt:
    """Read the template of a project, or write the default one where there is none.

    Raises
    ------
    UserError
        It has a field that nothing fills in, or no place for the paragraph or the topics.
    """
    if not path.exists():
        files.write_text(path, DEFAULT)
    text = decode(path.read_bytes(), str(path))
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


@dataclass(frozen=True)
class Vote:
    """What a model said of a paragraph.

    Parameters
    ----------
    topics
        The topics that it names; None where it gave no answer.
    confidence
        Probability of the answer, 0 to 1; None where the server does not say.
    problem
        Why there is no answer; "" where there is one.
    """

    item: Suggestion
    topics: tuple[str, ...] | None
    confidence: float | None
    problem: str
    tokens: tuple[int, int]


def ask_all(
    chat: Chat,
    prompt: Prompt,
    items: Sequence[Suggestion],
    concurrency: int,
    go_on: Callable[[], bool],
) -> Iterator[Vote]:
    """Ask about each paragraph; answers come as they are ready.

    A paragraph is asked about once the answer before it was taken by the caller, up to so many at
    a time. After Ctrl-C, or if the server refuses all, no other paragraph is asked about; answers
    that are under way, which have to be paid, still come, and then the error. A second Ctrl-C is
    raised at once.

    Parameters
    ----------
    go_on
        Asked before each paragraph: whether there is money left for it.

    Raises
    ------
    UserError
        The server cannot be reached, stays too busy, or refuses every question.
    KeyboardInterrupt
        After Ctrl-C, once the last answer came.
    """
    stopped = threading.Event()
    left = iter(items)
    problem: BaseException | None = None
    running: set[Future[Vote]] = set()
    with _first_interrupt(stopped), ThreadPoolExecutor(concurrency) as pool:
        while True:
            while not stopped.is_set() and len(running) < concurrency and go_on():
                if (item := next(left, None)) is None:
                    break
                running.add(pool.submit(_ask, chat, prompt, item))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if (error := future.exception()) is None:
                    yield future.result()
                else:
                    problem = problem or error
                    stopped.set()
    if problem is not None:
        raise problem
    if stopped.is_set():
        raise KeyboardInterrupt


@contextmanager
def _first_interrupt(stopped: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C only set an event, wherever the program is."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ask(chat: Chat, prompt: Prompt, item: Suggestion) -> Vote:
    """Ask about one paragraph, and once more if the answer is not in the form that is wanted."""
    messages: list[Message] = [{"role": "user", "content": prompt.question(item)}]
    topics, confidence, tokens, problem = None, None, (0, 0), ""
    for _ in range(2):
        try:
            reply = chat.ask(messages, prompt.schema)
        except BadReply as bad:
            problem, tokens = str(bad), _sum(tokens, bad.tokens)
            break
        tokens = _sum(tokens, reply.tokens)
        try:
            topics, confidence, problem = prompt.read(reply.text), reply.confidence, ""
            break
        except BadReply as bad:
            problem = str(bad)
            messages += [
                {"role": "assistant", "content": reply.text[:1000]},
                {"role": "user", "content": f"That is {bad}. Answer with the JSON alone."},
            ]
    return Vote(item, topics, confidence, problem, tokens)


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]
