"""Ask a language model about many paragraphs: fill the prompt, send it, and read the replies.

The template of the prompt is the project's `prompt.md`, which people can change. Several requests
run at a time, and votes come as they are ready. The caller chooses paragraphs and writes votes.
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

# Tokens of a reply, for the estimate of the cost.
REPLY_TOKENS = 15
# The prompt of a new project.
DEFAULT = Path(__file__).with_name("prompt.md").read_text(encoding="utf-8")
# Fields of the template that differ from paragraph to paragraph.
PARAGRAPH_FIELDS = "title heading before after paragraph".split()
# All fields of the template.
FIELDS = ["topics", "none", "task", "example", *PARAGRAPH_FIELDS]
# Characters that are sent of a paragraph, and of the text on each side of it.
MAX_CHARACTERS, MAX_CONTEXT_CHARACTERS = 8_000, 1_000


@dataclass(frozen=True)
class Prompt:
    """A question about a paragraph: a template with `FIELDS` to fill, such as $paragraph."""

    template: str
    topics: Topics

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the template and the codebook."""
        text = self.fill(**dict.fromkeys(PARAGRAPH_FIELDS, ""))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def expected_tokens(self, item: Suggestion) -> int:
        """Estimate of the tokens of a question and its reply."""
        return estimate(len(self.question(item))) + REPLY_TOKENS

    def question(self, item: Suggestion) -> str:
        """Fill the template with a paragraph, its heading, its neighbours and its article's title.

        The paragraph is cut after `MAX_CHARACTERS`, and the neighbours on each side to the
        `MAX_CONTEXT_CHARACTERS` that are closest to it. A part that is missing is "".
        """
        return self.fill(
            title=item.title,
            heading=item.heading,
            before=" ".join(item.before)[-MAX_CONTEXT_CHARACTERS:],
            after=" ".join(item.after)[:MAX_CONTEXT_CHARACTERS],
            paragraph=item.text[:MAX_CHARACTERS],
        )

    def fill(self, **paragraph_fields: str) -> str:
        """Fill the template with the codebook and the arguments, named as in `PARAGRAPH_FIELDS`."""
        key, task, value, _ = self._reply_format
        example, none = json.dumps({key: value}, ensure_ascii=False), self.topics.choices[-1]
        listed = "\n".join(
            f"- {topic.name}: {topic.definition}" if topic.definition else f"- {topic.name}"
            for topic in self.topics.topics
        )
        return Template(self.template).substitute(
            paragraph_fields, topics=listed, none=none, task=task, example=example
        )

    @property
    def schema(self) -> dict[str, object]:
        """JSON schema of a reply: {"topic": choice} or, in mode multi, {"topics": [choice, …]}."""
        key, _, _, value = self._reply_format
        return {
            "type": "object",
            "properties": {key: value},
            "required": [key],
            "additionalProperties": False,
        }

    def read(self, text: str) -> tuple[str, ...]:
        """Read the topics of a reply, in the codebook's order; () for none of the topics.

        The reply is the JSON of `schema`, perhaps within other text, or only the name of a topic.
        Case, and quotes and dots around a name, do not matter. A `BadReply` reports another form,
        no name, an unknown one, two topics in mode single, or a topic beside "none of the topics".
        """
        value: object = text.strip()
        if "{" in text:
            # Models wrap JSON in fences and sentences.
            begin, end = text.index("{"), text.rfind("}") + 1
            try:
                value = json.loads(text[begin:end])[self._reply_format[0]]
            except (ValueError, LookupError, TypeError, RecursionError):
                raise BadReply(f"not the JSON that was asked for: {_shortened(text)}") from None
        values = value if isinstance(value, list) else [value]
        names = [name for name in values if isinstance(name, str)]
        if len(names) < len(values) or not names:
            raise BadReply(f"no topic: {_shortened(text)}")
        chosen = {self._topic_named(name) for name in names}
        if None in chosen:
            raise BadReply(f"not in the codebook: {_shortened(text)}")
        if len(chosen) > (1 if self.topics.choices[-1] in chosen else self.topics.max_topics):
            raise BadReply(f"several topics: {_shortened(text)}")
        # One order makes two replies with the same topics equal.
        return tuple(name for name in self.topics.names if name in chosen)

    def _topic_named(self, text: str) -> str | None:
        """The choice with this name, or the only one with the same `_normalised` name; or None."""
        choices = self.topics.choices
        if text in choices:
            return text
        similar = [name for name in choices if _normalised(name) == _normalised(text)]
        return similar[0] if len(similar) == 1 else None

    @property
    def _reply_format(self) -> tuple[str, str, object, dict[str, object]]:
        """Key of a reply, the task in words, an example of the key's value, and its JSON schema."""
        name: dict[str, object] = {"type": "string", "enum": list(self.topics.choices)}
        first, key = self.topics.names[0], f"topic{self.topics.labels.plural}"
        if self.topics.max_topics == 1:
            return key, "Choose the one topic that it is mainly about.", first, name
        return key, "Choose all topics.", [first], {"type": "array", "items": name}


def read_prompt(path: Path, topics: Topics) -> Prompt:
    """Read the template of a project; if there is no file, first write the default one there.

    A `UserError` reports a file that is blank or no text, lacks $topics or $paragraph, or has a
    single $ or a field that is not in `FIELDS`.
    """
    if not path.exists():
        files.write_text(path, DEFAULT)
    text = decode(path.read_bytes(), str(path))
    template = Template(text)
    if not template.is_valid() or (unknown := set(template.get_identifiers()) - set(FIELDS)):
        problem = ", ".join(sorted(unknown)) if template.is_valid() else "a single $"
        raise UserError(
            f"{path}: {problem} cannot be filled in; write $$ for a dollar sign. Fields are "
            f"{', '.join(f'${name}' for name in FIELDS)}"
        )
    for name in ("topics", "paragraph"):
        if name not in template.get_identifiers():
            raise UserError(f"{path}: ${name} is missing; write it into the template")
    return Prompt(text, topics)


def _normalised(name: str) -> str:
    """A name in lower case, without the quotes and dots that models add."""
    return name.strip().strip("\"'.`").casefold()


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:80]} …"


@dataclass(frozen=True)
class Vote:
    """A language model's vote on a paragraph.

    Parameters
    ----------
    topics
        The topics in the reply; None if the reply has no valid ones.
    confidence
        Probability of the reply, 0 to 1; None if the server does not report it.
    problem
        Why there are no topics; "" if there are.
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
    may_ask: Callable[[], bool],
) -> Iterator[Vote]:
    """Ask about each paragraph, and yield its vote, with topics or a problem, once it is ready.

    A request starts when the caller takes a vote, but not after Ctrl-C or an error. Those under way
    have to be paid for: their votes come before the exception. A second Ctrl-C is raised at once.

    Parameters
    ----------
    concurrency
        Largest number of requests under way at a time.
    may_ask
        Called before each request, which is sent only if it returns True. After False, it is called
        again once a vote has come; if none is under way, the other paragraphs are left out.

    Raises
    ------
    UserError
        The server cannot be reached, stays too busy, or refuses every question.
    KeyboardInterrupt
        Ctrl-C was pressed; it is raised after the last vote.
    """
    stopped = threading.Event()
    remaining = iter(items)
    problem: BaseException | None = None
    running: set[Future[Vote]] = set()
    with _deferred_interrupt(stopped), ThreadPoolExecutor(concurrency) as pool:
        while True:
            while not stopped.is_set() and len(running) < concurrency and may_ask():
                if (item := next(remaining, None)) is None:
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
def _deferred_interrupt(stopped: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C in the block only set `stopped`; the second one acts as outside of it.

    Nothing changes outside the main thread, or if Ctrl-C is ignored.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, handler)
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _ask(chat: Chat, prompt: Prompt, item: Suggestion) -> Vote:
    """Ask about a paragraph, and ask once more if `Prompt.read` refuses the reply.

    If that fails, too, or at once if `Chat.ask` raises a `BadReply`, the vote has None as topics
    and the last problem. Its tokens are those of both requests. A `UserError` is passed on.
    """
    messages: list[Message] = [{"role": "user", "content": prompt.question(item)}]
    topics, confidence, tokens, problem = None, None, (0, 0), ""
    for _ in range(2):
        try:
            reply = chat.ask(messages, prompt.schema)
        except BadReply as error:
            problem, tokens = str(error), _add_tokens(tokens, error.tokens)
            break
        tokens = _add_tokens(tokens, reply.tokens)
        try:
            topics, confidence, problem = prompt.read(reply.text), reply.confidence, ""
            break
        except BadReply as error:
            problem = str(error)
            messages += [
                {"role": "assistant", "content": reply.text[:1000]},
                {"role": "user", "content": f"That is {error}. Answer with the JSON alone."},
            ]
    return Vote(item, topics, confidence, problem, tokens)


def _add_tokens(total: tuple[int, int], tokens: tuple[int, int]) -> tuple[int, int]:
    return total[0] + tokens[0], total[1] + tokens[1]
