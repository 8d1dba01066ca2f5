"""The command `paratopic annotate`: a language model votes on paragraphs, as a weak source."""

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
from paratopic.annotation.suggestion import Suggestion, draw_random, has_label, make_suggestions
from paratopic.labels.log import LLM, Label, append, cell_of, first_words, one_line
from paratopic.project.errors import UserError, plural
from paratopic.project.terminal import progress_bar
from paratopic.results.project import Project

log = logging.getLogger(__name__)

MOST_ERRORS = 10  # A run ends after so many errors without a valid reply.


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

    Paragraphs with a hand label come first, because they show how often the model is right; others
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
    items = _paragraphs_to_ask(project, annotator, prompt.digest, n)
    if not items:
        print(f"{annotator} has answered for every paragraph, with the prompt of {path}")
        return
    expected = sum(map(prompt.expected_tokens, items))
    run = _Run(annotator, prompt, budget, concurrency, expected / len(items))
    asking = labelling.in_units(f"{plural(len(items), 'paragraph')} to ask")
    print(f"{asking} {model} about, with {path}: about {expected:,} tokens")
    if estimate:
        return
    if not chat.is_local:
        log.warning(
            "note: these texts, with what is around them, leave this machine: they are sent to %s",
            chat.host,
        )
    votes = ask_all(chat, prompt, items, concurrency, lambda: run.has_budget and not run.has_failed)
    run.save(votes, project.labels_file, len(items))
    if run.has_failed:
        raise UserError(
            f"{annotator} gave no answer that is of use; the last one was {run.problem}. Try "
            f"another model, or change {path}"
        )
    n_open = len(items) - run.n
    if n_open and not run.has_budget:
        print(f"the budget does not reach for the other {n_open}")
    if run.n_votes:
        print("`dvc repro` learns from them as far as they agree with people")


@dataclass
class _Run:
    """Totals of a run: `n` replies, `n_votes` valid ones; a budget of tokens, None for no limit."""

    annotator: str
    prompt: Prompt
    budget: int | None
    concurrency: int
    expected_tokens: float  # per question
    spent: int = 0
    n: int = 0
    n_votes: int = 0
    problem: str = ""

    def save(self, votes: Iterable[Vote], labels: Path, n: int) -> None:
        """Append each vote to the file `labels` as it comes, count it, and print totals at the end.

        A vote with topics None counts as an error, and is appended as undecided. Ctrl-C logs a note
        and raises nothing; other errors are raised after the totals. `n` is for the progress bar.
        """
        started = time.monotonic()
        with progress_bar(f"{self.annotator}: paragraph", n) as advance:
            try:
                for vote in votes:
                    self.spent += sum(vote.tokens)
                    self.n += 1
                    self.n_votes += vote.topics is not None
                    self.problem = vote.problem or self.problem
                    append(labels, self._line(vote))
                    advance(self.n)
            except KeyboardInterrupt:
                log.warning("note: stopped; the same command goes on from here")
            finally:
                seconds = time.monotonic() - started
                errors = plural(self.n - self.n_votes, "error")
                print(
                    f"{self.annotator}: {plural(self.n_votes, 'answer')} in {labels}, {errors}, "
                    f"{self.spent:,} tokens, {seconds:.0f} s"
                )

    def _line(self, vote: Vote) -> Label:
        """The vote as a line with columns confidence and prompt; an error as "?" with a note."""
        confidence = "" if vote.confidence is None else f"{vote.confidence:.4f}"
        return Label(
            self.annotator,
            vote.item.id,
            cell_of(vote.topics),
            first_words(vote.item.text),
            self.annotator,
            note=f"error: {vote.problem}" if vote.problem else "",
            drawn=vote.item.drawn,
            more=(("confidence", confidence), ("prompt", self.prompt.digest)),
        )

    @property
    def has_budget(self) -> bool:
        """Whether the budget allows another question in addition to those under way."""
        tokens = max(self.expected_tokens, self.spent / self.n if self.n else 0.0)
        return self.budget is None or self.spent + self.concurrency * tokens <= self.budget

    @property
    def has_failed(self) -> bool:
        """Whether there are `MOST_ERRORS` replies or more, and no valid one."""
        return self.n >= MOST_ERRORS and not self.n_votes


def _paragraphs_to_ask(project: Project, annotator: str, prompt: str, n: int) -> list[Suggestion]:
    """At most n paragraphs without a vote of `annotator` for `prompt`, the digest of a prompt.

    Paragraphs with a hand label or a person's vote come first, then all other texts in random
    order, each once and without boilerplate. Last are those for which the reply was an error.
    """
    labelling = project.labelling
    frame, voted = labelling.paragraphs, labelling.answers_on
    lines = [line for line in labelling.lines if line.annotator == annotator]
    lines = [line for line in lines if dict(line.more).get("prompt") == prompt]
    decided = {line.paragraph for line in lines if line.is_decided}
    asked = {line.paragraph for line in lines}
    labelled = frame["id"][has_label(frame, voted)]
    # One order for all runs continues an interrupted run with the next paragraph of the draw.
    random_order = draw_random(frame, voted, len(frame), project.params.seed)
    drawn = dict.fromkeys(labelled, "") | random_order
    open_ids = sorted((id_ for id_ in drawn if id_ not in decided), key=asked.__contains__)
    return make_suggestions(frame, {id_: drawn[id_] for id_ in open_ids[:n]})
