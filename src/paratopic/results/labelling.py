"""The labels of a project as they are now, and what changed since the last `dvc repro`.

DVC says what is out of date. It does not see sources outside of the project, so stage prepare notes
digests of what it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

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
from paratopic.corpus.table import read_columns, read_paragraphs, read_parquet, with_metadata
from paratopic.evaluation.comparison import Comparison
from paratopic.labels.answers import CurrentAnswers, by_paragraph, of_people, read_answers, tied
from paratopic.labels.log import Label, after, read_lines
from paratopic.labels.resolve import in_names_of_today
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.labels.summary import Prepared
from paratopic.project import files
from paratopic.project.errors import UserError, in_short, in_units
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.reading.outside import refuse_untrusted
from paratopic.reading.sources import digests_of, files_of

# Stages of the champion whose changes make its figures old.
OWN = ("fit", "calibrate", "train", "package")


@dataclass(frozen=True)
class Labelling:
    """The labels of a project, on its paragraphs as stage prepare left them.

    Parameters
    ----------
    votes
        The table of votes, in the names of today's codebook.
    lines
        All lines of labels.csv, as the file is now.
    """

    project: Project
    paragraphs: pd.DataFrame
    votes: pd.DataFrame
    drawn: pd.DataFrame
    lines: list[Label]

    @property
    def params(self) -> Params:
        """The project's settings."""
        return self.project.params

    @cached_property
    def everything(self) -> pd.DataFrame:
        """The paragraphs with columns of what each is from."""
        return with_metadata(self.paragraphs, read_parquet(self.project.paths.metadata))

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
        return champion_name(self.project.paths)

    @cached_property
    def changes(self) -> str:
        """What changed since the last `dvc repro` (`changes_since`), asked of DVC once."""
        return changes_since(self.project, self.champion)

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
        scores = read_parquet(self.project.paths.scores / self.champion / files.IN_CONTEXT)
        if self.changes:
            raise UserError(f"{self.changes} changed since the last scores: run `dvc repro` first")
        return scores

    @cached_property
    def prepared(self) -> Prepared:
        """What stage prepare read and counted."""
        return Prepared.load(self.project.paths.prepared)

    @property
    def unread(self) -> list[str]:
        """Files among the sources that stage prepare has not read yet."""
        paths = self.project.paths
        try:
            sources = files_of(paths, self.params.prepare.sources)
        except UserError:
            return []  # what was prepared can be labelled where its sources are not
        return [name for name in map(paths.name, sources) if name not in self.prepared.read]

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
        sources = self.params.prepare.sources
        groups = {each.group for each in sources if not isinstance(each, str)} - {*self.everything}
        return ["article" if name in groups else name for name in names]

    @property
    def labels_file(self) -> Path:
        """The file that new labels are added to.

        Raises
        ------
        UserError
            params.yaml names none, or it is outside of the project.
        """
        if (path := self.project.log) is None:
            raise UserError("params.yaml names no file of labels: set prepare.labels")
        files.refuse_outside(path, self.project.paths.root)
        return path


def read_labelling(project: Project) -> Labelling:
    """Read the labels of a project; errors as of `results.project.Project`."""
    paths, log = project.paths, project.log
    refuse_untrusted(project)
    if not paths.paragraphs.exists():
        raise UserError(f"{paths.paragraphs} not found: `dvc repro` creates it")
    lines = read_lines(log) if log and log.exists() else []
    votes = read_columns(paths.votes, VOTES_SCHEMA)
    labels = read_columns(paths.labels, LABELS_SCHEMA)
    sample = read_columns(paths.sample, SAMPLE_SCHEMA)
    votes, labels = in_names_of_today(votes, labels, project.params.topics)
    frame = with_sample(with_labels(read_paragraphs(paths.paragraphs), labels), sample)
    return Labelling(project, frame, votes, sample, lines)


def champion_name(paths: files.Paths) -> str:
    """Name of the champion; "" where no models were compared yet."""
    if not paths.comparison.exists():
        return ""
    return Comparison.load(paths.comparison).champion


def changes_since(project: Project, champion: str) -> str:
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
        stages += [f"evaluate@{name}" for name in project.params.models]
    status, changes = _dvc_status(project.paths, stages), changed_sources(project)
    for stage in stages:
        for change in status.get(stage, ()):
            changes += _names(change, stage)
    return in_short(list(dict.fromkeys(changes)), 2)


def changed_sources(project: Project) -> list[str]:
    """Names of the texts and labels that are other than those that stage prepare read."""
    paths, log = project.paths, project.log
    if not (read := Prepared.load(paths.prepared).read):
        return []
    now = digests_of(paths, project.params.prepare.sources, *([log] if log else []))
    return [path for path in {**read, **now} if read.get(path) != now.get(path)]


def _dvc_status(paths: files.Paths, stages: list[str]) -> dict[str, list[object]]:
    """What `dvc status` says of stages; nothing, and a note, where DVC cannot be asked.

    It takes DVC's lock, and writes to its folder.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(paths.root) as repo:
            changes = repo.status([f"{paths.pipeline}:{stage}" for stage in stages])
            return {stage.rpartition(":")[2]: changes[stage] for stage in changes}
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
