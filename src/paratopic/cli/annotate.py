"""The command `paratopic annotate`: a language model answers for paragraphs, as a weak source."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from paratopic.annotation.asking import Prompt, Vote, ask_all, read_prompt
from paratopic.annotation.chat import KEY, Chat
from paratopic.annotation.suggestion import Suggestion, draw_random, has_label, in_context
from paratopic.labels.log import LLM, Label, append, cell_of, first_words, one_line
from paratopic.project.errors import UserError, plural
from paratopic.project.terminal import bar
from paratopic.results.project import Project

log = logging.getLogger(__name__)

# A run ends after so many errors, if there is no answer beside them.
MOST_ERRORS = 10


def annotate(
    url: Annotated[
        str,
        typer.Option(
            help="Address of an OpenAI chat interface, such as http://127.0.0.1:11434/v1."
        ),
    ],
    model: Annotated[str, typer.Option(help="Name of the model on the server.")],
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs to ask about, at most.")] = 200,
    budget: Annotated[
        int | None, typer.Option(min=0, help="Stop before more tokens are read and written.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Paragraphs at a time.")] = 4,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that an answer may take.")] = 120,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print what it would take, and send nothing.")
    ] = False,
) -> None:
    """Ask a language model for the topics of paragraphs; its answers are a weak source.

    Paragraphs with a hand label come first, because they tell how often the model is right; others
    are drawn at random. Each answer is in labels.csv before the next paragraph is asked about. The
    same command goes on where it stopped. A key for the server comes from the environment variable
    PARATOPIC_LLM_KEY.
    """
    project, annotator = Project(), f"{LLM}{one_line(model)}"
    labelling, path = project.labelling, project.paths.prompt
    if not project.params.labels.is_weak(annotator):
        raise UserError(
            f"the answers of {annotator} would count as those of a person: add it, or llm-*, to "
            "labels.weak in params.yaml"
        )
    chat = Chat(url, model, os.environ.get(KEY, "").strip() or None, timeout)
    prompt = read_prompt(path, project.params.topics)
    items = _to_ask(project, annotator, prompt.digest, n)
    if not items:
        print(f"{annotator} has answered for every paragraph, with the prompt of {path}")
        return
    expected = sum(map(prompt.expected_tokens, items))
    run = _Run(annotator, prompt, budget, concurrency, expected / len(items))
    asking = labelling.in_units(f"{plural(len(items), 'paragraph')} to ask")
    print(f"{asking} {model} about, with {path}: about {expected:,} tokens")
    if estimate:
        return
    if not chat.is_here:
        log.warning(
            "note: these texts, with what is around them, leave this machine: they are sent to %s",
            chat.host,
        )
    answers = ask_all(chat, prompt, items, concurrency, lambda: run.reaches and not run.is_useless)
    run.keep(answers, project.labels_file, len(items))
    if run.is_useless:
        raise UserError(
            f"{annotator} gave no answer that is of use; the last one was {run.problem}. Try "
            f"another model, or change {path}"
        )
    if (left := len(items) - run.n) and not run.reaches:
        print(f"the budget does not reach for the other {left}")
    if run.n_answers:
        print("`dvc repro` learns from them as far as they agree with people")


@dataclass
class _Run:
    """What came (`n` answers and errors), and how many tokens are spent and may be."""

    annotator: str
    prompt: Prompt
    budget: int | None
    concurrency: int
    of_question: float  # tokens that one should take
    spent: int = 0
    n: int = 0
    n_answers: int = 0
    problem: str = ""

    def keep(self, answers: Iterable[Vote], labels: Path, n: int) -> None:
        """Write each of n answers as it comes, and count it and its tokens.

        Whatever ends the run, its sum is printed.
        """
        started = time.monotonic()
        with bar(f"{self.annotator}: paragraph", n) as advance:
            try:
                for answer in answers:
                    self.spent += sum(answer.tokens)
                    self.n += 1
                    self.n_answers += answer.topics is not None
                    self.problem = answer.problem or self.problem
                    append(labels, self._line(answer))
                    advance(self.n)
            except KeyboardInterrupt:
                log.warning("note: stopped; the same command goes on from here")
            finally:
                seconds, n_errors = time.monotonic() - started, self.n - self.n_answers
                errors = plural(n_errors, "error")
                print(
                    f"{self.annotator}: {plural(self.n_answers, 'answer')} in {labels}, {errors}, "
                    f"{self.spent:,} tokens, {seconds:.0f} s"
                )

    def _line(self, answer: Vote) -> Label:
        """An answer as a line of labels.csv, with what it was asked."""
        sure = "" if answer.confidence is None else f"{answer.confidence:.4f}"
        return Label(
            self.annotator,
            answer.item.id,
            cell_of(answer.topics),
            first_words(answer.item.text),
            self.annotator,
            note=f"error: {answer.problem}" if answer.problem else "",
            drawn=answer.item.drawn,
            more=(("confidence", sure), ("prompt", self.prompt.digest)),
        )

    @property
    def reaches(self) -> bool:
        """Whether there is enough for another question, beside those that are under way."""
        each = max(self.of_question, self.spent / self.n if self.n else 0.0)
        return self.budget is None or self.spent + self.concurrency * each <= self.budget

    @property
    def is_useless(self) -> bool:
        """Whether there are errors alone, and enough of them."""
        return self.n >= MOST_ERRORS and not self.n_answers


def _to_ask(project: Project, annotator: str, prompt: str, n: int) -> list[Suggestion]:
    """At most n paragraphs that have no answer to this prompt; those with a hand label first.

    Those with an error come last.
    """
    labelling = project.labelling
    frame, judged = labelling.paragraphs, labelling.answers_on
    lines = [
        line
        for line in labelling.lines
        if line.annotator == annotator and dict(line.more).get("prompt") == prompt
    ]
    answered = {line.paragraph for line in lines if line.is_decided}
    asked = {line.paragraph for line in lines}
    by_hand = frame["id"][has_label(frame, judged)]
    # The same order each time, so that what was asked is a beginning of it.
    at_random = draw_random(frame, judged, len(frame), project.params.seed)
    drawn = dict.fromkeys(by_hand, "") | at_random
    left = sorted((id_ for id_ in drawn if id_ not in answered), key=asked.__contains__)
    return in_context(frame, {id_: drawn[id_] for id_ in left[:n]})
