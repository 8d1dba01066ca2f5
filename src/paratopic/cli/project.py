"""The project in the current directory, as commands see it: what is out of date, what to do next.

DVC says what is out of date. It does not see sources outside of the project, so stage prepare notes
digests of what it reads.
"""

from __future__ import annotations

import getpass
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

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
    UNKNOWN,
    read_columns,
    read_paragraphs,
    read_parquet,
    values_by,
    with_metadata,
)
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.intervals import LEAST_LABELS
from paratopic.labels.answers import CurrentAnswers, by_paragraph, of_people, read_answers, tied
from paratopic.labels.log import Label, after, one_line, read_lines
from paratopic.labels.resolve import in_names_of_today
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.labels.summary import Prepared
from paratopic.project import files
from paratopic.project.errors import UserError, in_short, in_units
from paratopic.project.params import Params, read_params
from paratopic.project.reports import last_time
from paratopic.project.sources import Source
from paratopic.project.terminal import terminal
from paratopic.reading.outside import is_trusted, refuse_untrusted, untrusted
from paratopic.reading.sources import digests_of, files_of

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

# Stages of the champion whose changes make its figures old.
OWN = ("fit", "calibrate", "train", "package")


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

    @cached_property
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


def champion_name() -> str:
    """Name of the champion; "" where no models were compared yet."""
    if not files.COMPARISON.exists():
        return ""
    return Comparison.load(files.COMPARISON).champion


def note_changes(model: Path) -> None:
    """Print that a model of the project is older than its texts, labels or settings, if it is.

    Nothing is printed about another model, and nothing where sources are outside of a project that
    nobody trusts.
    """
    is_own = model.resolve().is_relative_to(files.MODELS.resolve())
    if not (is_own and files.PARAMS.exists() and files.PREPARED.exists()):
        return
    params, champion = read_params(), champion_name()
    if not untrusted(params.prepare):
        print_changes(changes_since(params, champion), champion)


def print_changes(changes: str, champion: str) -> None:
    """Print what `changes_since` says, unless it is nothing."""
    if changes:
        what = "these figures were made" if champion else "the texts were read"
        print(f"note: {changes} changed since {what}: run `dvc repro`")


def changes_since(params: Params, champion: str) -> str:
    """Say which sources, settings and results changed since the last `dvc repro`; "" for none.

    Parameters
    ----------
    champion
        Name of the model whose stages are looked at, beside those of all models; "" for none, where
        stage prepare alone has run.
    """
    stages = ["prepare"]
    if champion:
        stages += ["split", *(f"{stage}@{champion}" for stage in OWN), "compare"]
        stages += [f"evaluate@{name}" for name in params.models]
    status, changes = _dvc_status(stages), changed_sources(params)
    for stage in stages:
        for change in status.get(stage, ()):
            changes += _names(change, stage)
    return in_short(list(dict.fromkeys(changes)), 2)


def changed_sources(params: Params) -> list[str]:
    """Names of the texts and labels that are other than those that stage prepare read."""
    log = params.prepare.labels
    if not (read := Prepared.load(files.PREPARED).read):
        return []
    now = digests_of(params.prepare.sources, *([Path(log)] if log else []))
    return [path for path in {**read, **now} if read.get(path) != now.get(path)]


def _dvc_status(stages: list[str]) -> dict[str, list[object]]:
    """What `dvc status` says of stages; nothing, and a note, where DVC cannot be asked.

    It takes DVC's lock, and writes to its folder.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return dict(repo.status(stages))
    except (DvcException, OSError, KeyError) as error:  # the last one: its user has no name
        reason = str(error).partition("\n")[0]
        print(f"note: it is not known whether results are up to date, because DVC says: {reason}")
        return {}


def _names(change: object, stage: str) -> list[str]:
    """Names of what differs from when a stage ran, from an entry of `dvc status`.

    What is gone is made anew, and what stage prepare reads is known from `changed_sources`.
    """
    if not isinstance(change, dict):
        return []
    names = []
    for what, paths in change.items():
        for path, kind in paths.items():
            if isinstance(kind, dict):
                names += [f"{key} in {path}" for key in kind]
            elif kind == "modified" and (stage, what) != ("prepare", "changed deps"):
                names.append(path)
    return names


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
