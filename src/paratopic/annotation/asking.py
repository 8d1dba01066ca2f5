"""Ask a language model about many paragraphs, several at a time, and keep each answer at once.

Which paragraphs these are, and where answers are written, is for the caller.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from paratopic.annotation.chat import BadReply, Chat, Message, estimate
from paratopic.annotation.context import Suggestion
from paratopic.annotation.prompt import Prompt, agreed

# Temperature at which a model is asked several times.
SPREAD = 1.0
# Tokens of an answer, for the estimate of what will be spent.
ANSWER_TOKENS = 15


class _Stopped(Exception):
    """The run ends while a request waits for its next try."""


@dataclass(frozen=True)
class Answer:
    """What a model said of a paragraph.

    Parameters
    ----------
    item
        The paragraph.
    topics
        The topics that it names; None where it gave no answer.
    certainty
        From the probabilities of its tokens, or the share of its answers that are this one; None
        where neither is known.
    problem
        Why there is no answer; "" where there is one.
    tokens
        Number of tokens read and written.
    seconds
        How long it took, with what was asked again.
    """

    item: Suggestion
    topics: tuple[str, ...] | None
    certainty: float | None
    problem: str
    tokens: tuple[int, int]
    seconds: float


def ask_all(
    chat: Chat,
    prompt: Prompt,
    items: Sequence[Suggestion],
    draws: int,
    concurrency: int,
    go_on: Callable[[], bool],
) -> Iterator[Answer]:
    """Ask about each paragraph; answers come as they are ready.

    A paragraph is asked about once the answer before it was taken by the caller, up to so many at
    a time. After Ctrl-C, or if the server refuses all, no other paragraph is asked about; answers
    that are under way, which have to be paid, still come, and then the error. A second Ctrl-C is
    raised at once.

    Parameters
    ----------
    chat
        The model.
    prompt
        The question.
    items
        The paragraphs.
    draws
        How often to ask about each; the most frequent answer counts.
    concurrency
        Number of paragraphs at a time.
    go_on
        Asked before each paragraph: whether there is money left for it.
    """
    stopped = threading.Event()

    def pause(seconds: float) -> None:
        if stopped.wait(seconds):
            raise _Stopped

    chat.pause = pause
    left = iter(items)
    problem: BaseException | None = None
    running: set[Future[Answer]] = set()
    with _first_interrupt(stopped), ThreadPoolExecutor(concurrency) as pool:
        while True:
            while not stopped.is_set() and len(running) < concurrency and go_on():
                if (item := next(left, None)) is None:
                    break
                running.add(pool.submit(_ask, chat, prompt, item, draws))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                error_of = future.exception()
                if error_of is None:
                    yield future.result()
                elif not isinstance(error_of, _Stopped):
                    problem = problem or error_of
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


def expected_tokens(prompt: Prompt, items: Sequence[Suggestion], draws: int) -> tuple[int, int]:
    """Estimate the tokens that will be read and written about paragraphs."""
    read = sum(estimate(len(prompt.about(item))) for item in items)
    return draws * read, draws * ANSWER_TOKENS * len(items)


def _ask(chat: Chat, prompt: Prompt, item: Suggestion, draws: int) -> Answer:
    question = prompt.about(item)
    given, certainties, tokens, problem = [], [], (0, 0), ""
    started = time.monotonic()
    for _ in range(draws):
        # Asked once more, a model that answered in sentences mostly keeps to the form.
        messages: list[Message] = [{"role": "user", "content": question}]
        for _ in range(2):
            try:
                reply = chat.ask(messages, prompt.schema, SPREAD if draws > 1 else 0.0)
            except BadReply as bad:
                problem = str(bad)
                tokens = tokens[0] + bad.tokens[0], tokens[1] + bad.tokens[1]
                break
            tokens = tokens[0] + reply.tokens[0], tokens[1] + reply.tokens[1]
            try:
                given.append(prompt.read(reply.text))
                certainties.append(reply.certainty)
                break
            except BadReply as bad:
                problem = str(bad)
                messages += [
                    {"role": "assistant", "content": reply.text[:1000]},
                    {"role": "user", "content": f"That is {bad}. Answer with the JSON alone."},
                ]
    seconds = time.monotonic() - started
    if not given:
        return Answer(item, None, None, problem, tokens, seconds)
    topics, share = agreed(given)
    return Answer(item, topics, share if draws > 1 else certainties[0], "", tokens, seconds)
