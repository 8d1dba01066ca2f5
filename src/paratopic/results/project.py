"""What a project's pipeline found, and its labels as they are now: tables and objects.

This is the package's face, above all rooms. Commands print what is here, and alone import it. DVC
says what changed since; it does not see sources outside of the project, so stage prepare notes
digests of what it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

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
    read_columns,
    read_paragraphs,
    read_parquet,
    texts_of,
    with_metadata,
)
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.model_report import Metrics
from paratopic.evaluation.outcomes import Answered, answered, confusions
from paratopic.findings import population
from paratopic.findings.groups import Findings, find
from paratopic.findings.slices import columns_of, describe_slices, find_slices
from paratopic.inference.model import Model, load
from paratopic.inference.prediction import Prediction
from paratopic.labels.answers import CurrentAnswers, by_paragraph, of_people, read_answers, tied
from paratopic.labels.log import Label, after, read_lines
from paratopic.labels.resolve import in_names_of_today
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.labels.summary import Prepared
from paratopic.project import files, folder
from paratopic.project.errors import UserError, in_short, in_units
from paratopic.project.passages import Passage
from paratopic.project.terminal import bar
from paratopic.reading.outside import refuse_untrusted
from paratopic.reading.sources import digests_of, files_of

# Paragraphs that are predicted between two steps of the progress bar.
STEP = 256
# Stages of the champion whose changes make its figures old.
OWN = ("fit", "calibrate", "train", "package")


@dataclass(frozen=True)
class Labelling:
    """The labels of a project as they are now, on its paragraphs as stage prepare left them.

    Parameters
    ----------
    votes
        The table of votes, in the names of today's codebook.
    lines
        All lines of labels.csv, as the file is now.
    """

    project: folder.Project
    paragraphs: pd.DataFrame
    votes: pd.DataFrame
    drawn: pd.DataFrame
    lines: list[Label]

    @cached_property
    def everything(self) -> pd.DataFrame:
        """The paragraphs with columns of what each is from."""
        return with_metadata(self.paragraphs, read_parquet(self.project.paths.metadata))

    @cached_property
    def labelled(self) -> Labelled:
        """The labelled paragraphs."""
        topics = self.project.params.topics
        return Labelled(labelled_rows(self.paragraphs, topics), topics, weak=weak_votes(self.votes))

    @cached_property
    def current(self) -> CurrentAnswers:
        """What people answered, as far as it counts today."""
        params = self.project.params
        return read_answers(of_people(self.lines, params.labels), params.topics)

    @cached_property
    def answers_on(self) -> Mapping[str, Sequence[Label]]:
        """Id of each paragraph that people answered on → their answers that count."""
        return by_paragraph(self.current.answers)

    @cached_property
    def sample(self) -> Sample:
        """What the labels by hand are a sample of."""
        return sample_of(self.paragraphs, self.drawn, self.current.answers)

    @property
    def basis(self) -> str:
        """A line on what the labels by hand are a sample of; "" without any."""
        n = int(self.labelled.by_hand.sum())
        return describe_sample(self.sample, n) if n else ""

    @property
    def tied(self) -> dict[str, list[Label]]:
        """Id of each paragraph on which annotators are divided → their answers."""
        of_all, ids = tied(self.current.answers, self.project.params.topics), self.paragraphs["id"]
        return {id_: of_all[id_] for id_ in ids if id_ in of_all}

    @cached_property
    def retired(self) -> dict[str, str]:
        """Id of each paragraph to label again because the codebook changed → why."""
        rows = self.votes[self.votes["status"] == "retired"]
        names = dict(zip(rows["paragraph"], rows["given"], strict=True))
        names |= {line.paragraph: line.names for line in self.current.retired}
        today, ids = self.project.params.topics.today, self.paragraphs["id"]
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
        return in_units(text, self.project.params.unit)

    def columns(self, names: Sequence[str]) -> list[str]:
        """The columns that `--by` names: a table's column of groups is called article here."""
        sources = self.project.params.prepare.sources
        groups = {each.group for each in sources if not isinstance(each, str)} - {*self.everything}
        return ["article" if name in groups else name for name in names]


class Mistakes(NamedTuple):
    """Where the champion's out-of-fold answers are wrong.

    Attributes
    ----------
    answers
        All of them, beside their labels; `answers.mistakes` are the wrong ones, the most certain
        first.
    confusions
        What is mistaken for what, in words, the most frequent first.
    slices
        A line that says whether any slice is worse, and a line for each that is.
    """

    answers: Answered
    confusions: list[str]
    slices: list[str]


class Project(folder.Project):
    """The project in a folder, with what its pipeline found.

    Files are read when they are first asked for, and then kept: open the project again after
    `dvc repro`. Nothing depends on the current directory, so that several may be open at once. The
    parameter `folder` is the project's root, by default the current directory.

    Raises
    ------
    UserError
        From all that follows: a file is missing, damaged or out of date; or the project names
        sources outside of it, and nobody trusts it.
    """

    @cached_property
    def labelling(self) -> Labelling:
        """All that is known of labels: votes, ties, how they were drawn."""
        paths, log = self.paths, self.log
        refuse_untrusted(self)
        if not paths.paragraphs.exists():
            raise UserError(f"{paths.paragraphs} not found: `dvc repro` creates it")
        lines = read_lines(log) if log and log.exists() else []
        votes = read_columns(paths.votes, VOTES_SCHEMA)
        labels = read_columns(paths.labels, LABELS_SCHEMA)
        sample = read_columns(paths.sample, SAMPLE_SCHEMA)
        votes, labels = in_names_of_today(votes, labels, self.params.topics)
        frame = with_sample(with_labels(read_paragraphs(paths.paragraphs), labels), sample)
        return Labelling(self, frame, votes, sample, lines)

    @property
    def paragraphs(self) -> pd.DataFrame:
        """A row for each of N paragraphs: id, article, position, text, and columns of metadata."""
        return self.labelling.everything

    @property
    def labels(self) -> pd.DataFrame:
        """A row for each of n labelled paragraphs.

        Columns id; topic, a tuple of the topics that count, () for none; label_source, hand or
        weak; draw and frame, how the paragraph was chosen; weight, how much of the corpus it stands
        for; effective_count, 0 to 1. The last four say nothing of weak labels.
        """
        columns = ["id", "topic", "label_source", "draw", "frame", "weight", "effective_count"]
        return self.labelling.labelled.rows[columns]

    @cached_property
    def comparison(self) -> Comparison:
        """The models side by side, and the champion. Figures are 0 to 1, out-of-fold."""
        return Comparison.load(self.paths.comparison)

    def metrics(self, model: str | None = None) -> Metrics:
        """Figures of a model, 0 to 1, out-of-fold, with intervals.

        Parameters
        ----------
        model
            Name of a kind of model, such as baseline; by default the champion.
        """
        name = model or self.comparison.champion
        return Metrics.load(self.paths.model_reports / name / "metrics.json")

    @cached_property
    def champion(self) -> str:
        """Name of the champion; "" where no models were compared yet."""
        return self.comparison.champion if self.paths.comparison.exists() else ""

    @cached_property
    def changes(self) -> str:
        """Which sources, settings and results changed since the last `dvc repro`; "" for none.

        Of models, those of the champion are looked at. DVC is asked once.
        """
        stages = ["prepare"]
        if self.champion:
            stages += ["split", *(f"{stage}@{self.champion}" for stage in OWN), "compare"]
            stages += [f"evaluate@{name}" for name in self.params.models]
        status = _dvc_status(self.paths, stages)
        of_dvc = [_names(each, stage) for stage in stages for each in status.get(stage, ())]
        return in_short(list(dict.fromkeys(chain(self.changed_sources, *of_dvc))), 2)

    @cached_property
    def changed_sources(self) -> list[str]:
        """Names of the texts and labels that are other than those that stage prepare read."""
        if not (read := self.prepared.read):
            return []
        own = [self.log] if self.log else []
        now = digests_of(self.paths, self.params.prepare.sources, *own)
        return [path for path in {**read, **now} if read.get(path) != now.get(path)]

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
        scores = read_parquet(self.paths.scores / self.champion / files.IN_CONTEXT)
        if self.changes:
            raise UserError(f"{self.changes} changed since the last scores: run `dvc repro` first")
        return scores

    @cached_property
    def prepared(self) -> Prepared:
        """What stage prepare read and counted."""
        return Prepared.load(self.paths.prepared)

    @property
    def unread(self) -> list[str]:
        """Files among the sources that stage prepare has not read yet."""
        try:
            sources = files_of(self.paths, self.params.prepare.sources)
        except UserError:
            return []  # what was prepared can be labelled where its sources are not
        return [name for name in map(self.paths.name, sources) if name not in self.prepared.read]

    @property
    def labels_file(self) -> Path:
        """The file that new labels are added to.

        Raises
        ------
        UserError
            params.yaml names none, or it is outside of the project.
        """
        if (path := self.log) is None:
            raise UserError("params.yaml names no file of labels: set prepare.labels")
        files.refuse_outside(path, self.paths.root)
        return path

    def corpus(
        self,
        of: population.Counted = "paragraphs",
        *,
        predictor: Sequence[str] = (),
        new_articles: bool = False,
    ) -> population.Corpus:
        """The paragraphs with labels and predictions, which shares are estimated from.

        What models of the folds have not predicted, the champion predicts, which may take minutes.

        Parameters
        ----------
        of
            What the shares are of: paragraphs, words or articles.
        predictor
            A column of metadata with predicted topics, or one with probabilities for each topic, in
            place of the models.
        new_articles
            Whether intervals are for further articles like these, and not for these alone.
        """
        labelling, topics = self.labelling, self.params.topics
        frame, no_topic = labelling.paragraphs, self.params.prepare.no_topic
        predicts = (
            population.given_predictor(labelling.everything, predictor, topics, no_topic)
            if predictor
            else self.cross_predictor(self.champion, self.scores, frame)
        )
        corpus = population.corpus_of(frame, labelling.everything, predicts, topics, of)
        return corpus.for_new_articles() if new_articles else corpus

    def cross_predictor(
        self, champion: str, scores: pd.DataFrame, frame: pd.DataFrame
    ) -> population.CrossPredictor:
        """What models of the folds predict; a paragraph table is for the champion to predict."""
        out_of_fold = self.paths.scores / champion
        unfolded = out_of_fold / files.UNFOLDED
        return population.CrossPredictor(
            scores,
            read_parquet(out_of_fold / files.UNLABELLED),
            read_parquet(unfolded) if unfolded.exists() else scores[:0],
            lambda ids: self._probabilities(champion, frame, ids),
        )

    def _probabilities(self, champion: str, frame: pd.DataFrame, ids: Iterable[str]) -> np.ndarray:
        """Probabilities of distinct texts by the champion; kept, because they may take minutes."""
        model, texts, path = self.load(champion), texts_of(frame, ids), self.paths.predicted
        digest = f"{files.sha256(self.paths.paragraphs)} {model.digest}"
        with suppress(OSError, pa.ArrowException):  # there is none, or it is damaged
            kept = pq.read_table(path)
            if (kept.schema.metadata or {}).get(b"of") == digest.encode():
                return np.column_stack([column.to_numpy() for column in kept.columns])
        parts = []
        with bar("distinct paragraphs", len(texts)) as advance:
            for start in range(0, len(texts), STEP):
                parts.append(model.predict_proba(texts[start : start + STEP]))
                advance(min(start + STEP, len(texts)))
        predicted = np.concatenate(parts)
        table = pa.table({name: predicted[:, k] for k, name in enumerate(model.classes_)})
        # Where nothing can be written, it is predicted anew each time.
        with suppress(OSError), files.aside(path) as draft:
            pq.write_table(table.replace_schema_metadata({"of": digest}), draft)
        return predicted

    def shares(
        self,
        by: str | Sequence[str] | None = None,
        compare: tuple[str, str] | None = None,
        *,
        corpus: population.Corpus | None = None,
        distinct: bool = False,
    ) -> Findings:
        """Estimate how much of the project is about each topic, with confidence intervals.

        Parameters
        ----------
        by
            One or two columns to divide the paragraphs by: decade, year, month, date, article, or a
            column of metadata.
        compare
            Two values of the column: the first minus the second. By default the last period minus
            the first.
        corpus
            What the shares are of; by default all paragraphs (`corpus`).
        distinct
            Whether copies of a text count once for each value of `by`.

        Returns
        -------
        Tables of shares, 0 to 1, and of changes, in shares too: -0.1 is ten percentage points less.
        """
        columns = self.labelling.columns([by] if isinstance(by, str) else by or [])
        return find(
            self.corpus() if corpus is None else corpus,
            columns,
            self.params.evaluate.confidence,
            copies=not distinct,
            compare=compare,
            seed=self.params.seed,
        )

    def errors(self, by: Sequence[str] = ()) -> Mistakes:
        """Where the champion's out-of-fold answers are wrong.

        Parameters
        ----------
        by
            Columns to look for slices in where it does worse; by default all.
        """
        labelling, params = self.labelling, self.params
        if (scores := self.scores).empty:
            raise UserError(
                "nothing has been measured yet, so no mistakes are known: label more paragraphs, "
                "and run `dvc repro`"
            )
        labelled = replace(labelling.labelled, folds=read_parquet(self.paths.folds))
        answers = answered(labelled, scores)
        people = {
            paragraph: " and ".join(sorted({line.who for line in lines}))
            for paragraph, lines in labelling.answers_on.items()
        }
        values = columns_of(labelling.everything, list(answers.table["id"]), people, by)
        slices = find_slices(values, answers, params.evaluate.confidence, params.seed)
        return Mistakes(answers, confusions(answers, params.topics), describe_slices(slices))

    def load(self, model: str | None = None) -> Model:
        """Open a model of the project: a kind, such as baseline; by default the champion."""
        return load(self.paths.models / model if model else self.paths.champion)

    def predict(self, texts: Iterable[str | Passage]) -> list[Prediction]:
        """Predict texts by the champion; probabilities are 0 to 1."""
        return self.load().predict(texts)


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
