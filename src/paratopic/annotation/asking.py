"""Ask a language model about many paragraphs, several at a time; answers come as they are ready.

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
from paratopic.annotation.prompt import Prompt

# Tokens of an answer, for the estimate of what will be spent.
ANSWER_TOKENS = 15


@dataclass(frozen=True)
class Answer:
    """What a model said of a paragraph.

    Parameters
    ----------
    topics
        The topics that it names; None where it gave no answer.
    certainty
        Probability of the answer, 0 to 1; None where the server does not say.
    problem
        Why there is no answer; "" where there is one.
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
    running: set[Future[Answer]] = set()
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


def expected_tokens(prompt: Prompt, items: Sequence[Suggestion]) -> tuple[int, int]:
    """Estimate the tokens that will be read and written about paragraphs."""
    read = sum(estimate(len(prompt.about(item))) for item in items)
    return read, ANSWER_TOKENS * len(items)


def _ask(chat: Chat, prompt: Prompt, item: Suggestion) -> Answer:
    """Ask about one paragraph, and once more if the answer is not in the form that is wanted."""
    messages: list[Message] = [{"role": "user", "content": prompt.about(item)}]
    topics, certainty, tokens, problem = None, None, (0, 0), ""
    started = time.monotonic()
    for _ in range(2):
        try:
            reply = chat.ask(messages, prompt.schema)
        except BadReply as bad:
            problem, tokens = str(bad), _sum(tokens, bad.tokens)
            break
        tokens = _sum(tokens, reply.tokens)
        try:
            topics, certainty, problem = prompt.read(reply.text), reply.certainty, ""
            break
        except BadReply as bad:
            problem = str(bad)
            messages += [
                {"role": "assistant", "content": reply.text[:1000]},
                {"role": "user", "content": f"That is {bad}. Answer with the JSON alone."},
            ]
    return Answer(item, topics, certainty, problem, tokens, time.monotonic() - started)


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]
