"""The project in the current directory, as commands see it, and what is to be done next there."""

from __future__ import annotations

import getpass
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from paratopic.annotation import formats
from paratopic.annotation.suggestion import in_context
from paratopic.cli.staleness import champion_name, changes_since, print_changes
from paratopic.corpus.labelled import (
    LABELS_SCHEMA,
    SAMPLE_SCHEMA,
    VOTES_SCHEMA,
    Labelled,
    labelled_rows,
    weak_votes,
    with_labels,
    with_sample,
)
from paratopic.corpus.table import (
    in_words,
    read_columns,
    read_paragraphs,
    read_parquet,
    with_metadata,
)
from paratopic.evaluation.estimates import LEAST_LABELS
from paratopic.evaluation.report import Metrics
from paratopic.labels.answers import CurrentAnswers, by_paragraph, of_people, read_answers, tied
from paratopic.labels.log import Label, after, one_line, read_lines
from paratopic.labels.resolve import in_names_of_today
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.labels.summary import Prepared
from paratopic.project import files
from paratopic.project.errors import UserError, in_units, plural
from paratopic.project.params import Params, read_params
from paratopic.project.periods import UNKNOWN, values_by
from paratopic.project.sources import Source
from paratopic.project.terminal import listing, terminal
from paratopic.project.times import last_time
from paratopic.reading.outside import is_trusted, refuse_untrusted
from paratopic.reading.sources import files_of

# How many paragraphs a first random sample has: three times what shares need at least.
SAMPLE = 3 * LEAST_LABELS
DRAW, RUN = f"paratopic label --random --n {SAMPLE}", "dvc repro"
SHARES, SUGGEST = "paratopic shares", "paratopic label"
MEASURE = "train the models and measure them"
TRAIN = {RUN: f"{MEASURE} (minutes; it shows how many are left)"}
LABEL = {DRAW: "label a random sample, which shares and honest figures need"}
LABEL_GROUPS = {
    f"paratopic label --random --by COLUMN --n {SAMPLE}": "only for shares by group: draws from "
    f"groups with the fewest labels ({LEAST_LABELS} each give an interval)"
}

Again = Annotated[
    Path | None,
    typer.Option(
        help="Write the listed paragraphs to a file, to label them again: .json (Label Studio), "
        ".csv or .xlsx (a spreadsheet, `paratopic label`)."
    ),
]


@dataclass(frozen=True)
class Project:
    """The project in the current directory, as stage prepare left it.

    Parameters
    ----------
    votes
        The table of votes, in the names of today's codebook.
    lines
        All lines of labels.csv, as the file is now.
    """

    params: Params
    paragraphs: pd.DataFrame
    votes: pd.DataFrame
    drawn: pd.DataFrame
    lines: list[Label]

    @cached_property
    def everything(self) -> pd.DataFrame:
        """The paragraphs with columns of what each is from."""
        return with_metadata(self.paragraphs)

    @cached_property
    def labelled(self) -> Labelled:
        """The labelled paragraphs."""
        topics = self.params.topics
        return Labelled(labelled_rows(self.paragraphs, topics), topics, weak=weak_votes(self.votes))

    @cached_property
    def current(self) -> CurrentAnswers:
        """What people answered, as far as it counts today."""
        return read_answers(of_people(self.lines, self.params.labels), self.params.topics)

    @cached_property
    def answers_on(self) -> Mapping[str, Sequence[Label]]:
        """Id of each paragraph that people answered on → their answers that count."""
        return by_paragraph(self.current.answers)

    @cached_property
    def sample(self) -> Sample:
        """What the labels by hand are a sample of."""
        return sample_of(self.paragraphs, self.drawn, self.current.answers)

    @cached_property
    def champion(self) -> str:
        """Name of the champion; "" where no models were compared yet."""
        return champion_name()

    @cached_property
    def changes(self) -> str:
        """What changed since the last `dvc repro` (`changes_since`), asked of DVC once."""
        return changes_since(self.params, self.champion)

    def note_changes(self) -> None:
        """Print what changed, unless it is nothing."""
        print_changes(self.changes, self.champion)

    @property
    def scores(self) -> pd.DataFrame:
        """The champion's calibrated out-of-fold scores.

        Raises
        ------
        UserError
            No models were compared yet, or labels or params changed since.
        """
        if not self.champion:
            raise UserError("no model is trained and measured yet: run `dvc repro` first")
        scores = read_parquet(files.SCORES / self.champion / files.IN_CONTEXT)
        if self.changes:
            raise UserError(f"{self.changes} changed since the last scores: run `dvc repro` first")
        return scores

    @cached_property
    def prepared(self) -> Prepared:
        """What stage prepare read and counted."""
        return Prepared.load(files.PREPARED)

    @property
    def unread(self) -> list[str]:
        """Files among the sources that stage prepare has not read yet."""
        try:
            paths = files_of(self.params.prepare.sources)
        except UserError:
            return []  # what was prepared can be labelled where its sources are not
        return [name for name in map(files.printable, paths) if name not in self.prepared.read]

    @property
    def has_draws(self) -> bool:
        """Whether anything was drawn at random, also since stage prepare."""
        return bool(self.sample.drawn) or any(each.is_decided and each.draw for each in self.lines)

    @property
    def basis(self) -> str:
        """A line on what the labels by hand are a sample of; "" without any."""
        n = int(self.labelled.by_hand.sum())
        return describe_sample(self.sample, n) if n else ""

    @property
    def tied(self) -> dict[str, list[Label]]:
        """Id of each paragraph on which annotators are divided → their answers."""
        of_all, ids = tied(self.current.answers, self.params.topics), self.paragraphs["id"]
        return {id_: of_all[id_] for id_ in ids if id_ in of_all}

    @cached_property
    def retired(self) -> dict[str, str]:
        """Id of each paragraph to label again because the codebook changed → why."""
        rows = self.votes[self.votes["status"] == "retired"]
        names = dict(zip(rows["paragraph"], rows["given"], strict=True))
        names |= {line.paragraph: line.names for line in self.current.retired}
        today, ids = self.params.topics.today, self.paragraphs["id"]
        left = [id_ for id_ in ids if id_ in names and id_ not in self.answers_on]
        # Since stage prepare, the name may have come back.
        return {id_: why for id_ in left if (why := today(names[id_]).retired)}

    @cached_property
    def next_time(self) -> str:
        """Time of an answer that comes after all others, as `Label.when`; "" for the first.

        Sheets have it: the latest answer counts, and their order decides what each stands for.
        """
        return after(max(line.time for line in self.lines)) if self.lines else ""

    def in_units(self, text: str) -> str:
        """A text on paragraphs, with what the project calls these."""
        return in_units(text, self.params.unit)

    def columns(self, names: Sequence[str]) -> list[str]:
        """The columns that `--by` names: a table's column of groups is called article here."""
        tables = (each for each in self.params.prepare.sources if isinstance(each, Source))
        groups = {table.group for table in tables} - {*self.everything}
        return ["article" if name in groups else name for name in names]

    @property
    def labels_file(self) -> Path:
        """The file that new labels are added to.

        Raises
        ------
        UserError
            params.yaml names none, or it is outside of the project.
        """
        if self.params.prepare.labels is None:
            raise UserError("params.yaml names no file of labels: set prepare.labels")
        path = Path(self.params.prepare.labels)
        files.refuse_outside(path)
        return path

    def print_labels(self, rows: pd.DataFrame) -> None:
        """Print where labels are: lines of labels.csv or rows of tables, with what they are on.

        Parameters
        ----------
        rows
            Columns paragraph (id), text and verdict.
        """
        if rows.empty:
            return
        in_tables = self.votes.dropna(subset="place")
        place_of = dict(zip(in_tables["paragraph"], in_tables["place"], strict=True))
        names, listed = in_words(read_parquet(files.METADATA), list(rows["paragraph"])), []
        for row in rows.to_dict("records"):
            id_ = row["paragraph"]
            lines = ", ".join(answer.line for answer in self.answers_on.get(id_, []))
            where = f"line {lines}" if lines else place_of.get(id_, "")
            listed.append((where, (names[id_], row["text"], row["verdict"])))
        terminal().print(listing(listed))
        if any(map(self.answers_on.get, rows["paragraph"])):
            print(f"Lines are those of {self.labels_file}.")

    def write_again(self, doubtful: pd.DataFrame, models: str, out: Path) -> None:
        """Write paragraphs to be labelled again, with a suggestion and the reason.

        Parameters
        ----------
        doubtful
            Columns paragraph (id), suggestion (a topic, "" for none), confidence (its probability)
            and reason.
        """
        check_out(out)
        paragraphs = in_context(self.paragraphs, dict.fromkeys(doubtful["paragraph"], ""))
        suggestions, when = [], self.next_time
        for paragraph, row in zip(paragraphs, doubtful.to_dict("records"), strict=True):
            scores = {row["suggestion"]: row["confidence"]} if row["suggestion"] else {}
            again = replace(paragraph, scores=scores, reason=row["reason"], when=when)
            suggestions.append(again)
        written = formats.write_tasks(out, suggestions, self.params.topics, models)
        listed = self.in_units(plural(len(suggestions), "paragraph"))
        print(f"{listed} to label again: {', '.join(map(str, written))}")


def read_project() -> Project:
    """Read the project in the current directory.

    Raises
    ------
    UserError
        Stage prepare has not run, a file cannot be read, or one is outside of a project that nobody
        trusts.
    """
    params = read_params()
    refuse_untrusted(params.prepare)
    if not files.PARAGRAPHS.exists():
        raise UserError(f"{files.PARAGRAPHS} not found: `dvc repro` creates it")
    path = None if params.prepare.labels is None else Path(params.prepare.labels)
    lines = read_lines(path) if path and path.exists() else []
    votes = read_columns(files.VOTES, VOTES_SCHEMA)
    labels = read_columns(files.LABELS, LABELS_SCHEMA)
    sample = read_columns(files.SAMPLE, SAMPLE_SCHEMA)
    votes, labels = in_names_of_today(votes, labels, params.topics)
    frame = with_sample(with_labels(read_paragraphs(), labels), sample)
    return Project(params, frame, votes, sample, lines)


def read_texts() -> None:
    """Run stage prepare if it never ran, so that a new project can be labelled at once.

    Raises
    ------
    UserError
        The stage failed; or the project is not trusted, so that its pipeline is not to run unasked.
    """
    if files.PARAMS.exists() and not files.PARAGRAPHS.exists():
        if not is_trusted():
            raise UserError(
                f"{files.PARAGRAPHS} not found: `dvc repro prepare` creates it. It runs the "
                "commands in dvc.yaml: look at them first if the project is not yours"
            )
        print("reading the texts (dvc repro prepare)")
        if subprocess.run([sys.executable, "-P", "-m", "dvc", "repro", "-q", "prepare"]).returncode:
            raise UserError("stage prepare failed: see its message above")


def check_out(out: Path) -> None:
    """Refuse to write over a file that the project here reads, or that its stages write."""
    if not (out.exists() and files.PARAMS.exists()):
        return
    prepare, own = read_params().prepare, [files.PARAMS, files.LOCK, Path("dvc.yaml")]
    own += _outputs()
    own += [Path(prepare.labels)] if prepare.labels else []
    with suppress(UserError):  # sources that are gone
        own += files_of(prepare.sources)
    if any(out.resolve().is_relative_to(path.resolve()) for path in own):
        raise UserError(f"{out} is a file of this project; name another file")


def _outputs() -> list[Path]:
    """What the stages have written, by dvc.lock."""
    try:
        stages = YAML(typ="safe").load(files.LOCK)["stages"] if files.LOCK.exists() else {}
    except (YAMLError, TypeError, KeyError):
        raise UserError(
            f"{files.LOCK} cannot be read. After a merge, run `git checkout --ours {files.LOCK}`, "
            "then `dvc repro`"
        ) from None
    return [Path(out["path"]) for stage in stages.values() for out in stage.get("outs", ())]


def measured(model: str) -> Metrics | None:
    """metrics.json of a model; None where there is none, as of the dummy."""
    path = files.MODEL_REPORTS / model / "metrics.json"
    return Metrics.load(path) if path.exists() else None


def name_of_user(annotator: str | None) -> str:
    """Who labels: the annotator that is named, or whoever is logged in."""
    if name := one_line(annotator or ""):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        raise UserError(
            "the system has no name for its user, so it is not known who labels: name the "
            "annotator with --annotator NAME, or in the environment variable LOGNAME"
        ) from None


def next_steps(project: Project) -> dict[str, str]:
    """Command → what it is for, in the order in which they are to be run."""
    unlabelled = project.paragraphs["label_source"] == "none"
    can_draw = bool((unlabelled & ~project.paragraphs["boilerplate"]).any())
    steps = {}
    if project.tied:
        steps["paratopic review --out ties.csv"] = "list the ties, and write a sheet to settle them"
    if not project.labelled.by_hand.any() and can_draw:
        # What prepare has not read yet may be all that there is.
        first = {} if project.current.answers else label_step(project.everything)
        return steps | first | TRAIN
    if is_stale := not project.champion or bool(project.changes):
        steps |= _run(project.params)
    if project.sample.drawn < LEAST_LABELS and can_draw:
        steps |= label_step(project.everything)
    elif not is_stale:  # of what is labelled as a whole, they are a count
        steps[SHARES] = "estimate the shares of the topics, in groups with --by COLUMN"
    if can_draw and project.champion:
        steps[SUGGEST] = project.in_units(
            "label the paragraphs that models learn most from (for shares: --random; for a rare "
            "topic: --topic)"
        )
    elif not can_draw:
        paths = ", ".join(project.params.prepare.paths)
        steps["dvc repro prepare"] = f"read more texts, once you have added some to {paths}"
    return steps


def label_step(rows: pd.DataFrame) -> dict[str, str]:
    """The step of a random sample; with a column to draw by, if rows differ in one."""
    columns = {str(name): rows[name].tolist() for name in rows}
    for by in ("source", "decade", "year"):
        if len({*values_by(columns, by, len(rows))} - {UNKNOWN}) > 1:
            return {DRAW: f"{LABEL[DRAW]} (for shares by {by}, add --by {by})"}
    return LABEL


def _run(params: Params) -> dict[str, str]:
    """The step of a run, with how long the last fits took."""
    of_models = {name: last_time(name) for name in params.models}
    times = "; ".join(f"{name} {time}" for name, time in of_models.items() if time)
    last = f"last time, measuring took: {times}; training took some more"
    return {RUN: f"{MEASURE} ({last})"} if times else TRAIN


def typed() -> str:
    """The command as it was typed, to be typed again with another option."""
    return shlex.join(["paratopic", *sys.argv[1:]])


def print_steps(steps: Mapping[str, str]) -> None:
    """Print commands and what they are for."""
    console, width = terminal(), max(map(len, steps))
    console.print("Next:")
    for step, purpose in steps.items():
        console.print(f"  {step:<{width}}  {purpose}", highlight=False, soft_wrap=True)
