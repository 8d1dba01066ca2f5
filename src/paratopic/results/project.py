"""Results of a project's pipeline, and its current labels, as tables and objects.

Only commands and users' code import this module. DVC reports changes since the last run. It does
not see sources outside of the project, so stage prepare records digests of the files that it reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.corpus import labelled as label_tables
from paratopic.corpus import table as tables
from paratopic.corpus.labelled import Labelled, labelled_rows, weak_votes, with_labels, with_sample
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.model_report import Metrics
from paratopic.evaluation.outcomes import EvaluatedPredictions, confusions, evaluated_predictions
from paratopic.findings import population
from paratopic.findings.groups import Findings, find_shares
from paratopic.findings.slices import describe_slices, find_slices, slice_columns
from paratopic.inference.model import Model, load
from paratopic.inference.prediction import Prediction
from paratopic.labels.log import Label, after, read_lines
from paratopic.labels.resolve import tables_in_current_names
from paratopic.labels.sample import Sample, describe_sample, sample_of
from paratopic.labels.summary import Prepared
from paratopic.labels.votes import CurrentVotes, by_paragraph, current_votes, ties, votes_of_people
from paratopic.project import files, folder
from paratopic.project.errors import UserError, in_units, shortened_list
from paratopic.project.passages import Passage
from paratopic.project.terminal import progress_bar
from paratopic.reading.outside import refuse_untrusted
from paratopic.reading.sources import digests_of, files_of

# Number of paragraphs that are predicted at a time.
STEP = 256
# Stages of the champion whose changes make its figures out of date.
CHAMPION_STAGES = ("fit", "calibrate", "train", "package")


@dataclass(frozen=True)
class Labelling:
    """Current labels of a project, for the paragraphs from the last run of stage prepare.

    `paragraphs` have their labels, and `drawn` is the table of the sample. `votes` is the table of
    votes with names of the current codebook, and `lines` are all lines of the file of labels.
    """

    project: folder.Project
    paragraphs: pd.DataFrame
    votes: pd.DataFrame
    drawn: pd.DataFrame
    lines: list[Label]

    @cached_property
    def everything(self) -> pd.DataFrame:
        """The paragraphs with columns of metadata."""
        metadata = tables.read_parquet(self.project.paths.metadata)
        return tables.with_metadata(self.paragraphs, metadata)

    @cached_property
    def labelled(self) -> Labelled:
        topics = self.project.params.topics
        return Labelled(labelled_rows(self.paragraphs, topics), topics, weak=weak_votes(self.votes))

    @cached_property
    def current(self) -> CurrentVotes:
        """Votes of people that count with the current codebook."""
        params = self.project.params
        return current_votes(votes_of_people(self.lines, params.labels), params.topics)

    @cached_property
    def answers_on(self) -> Mapping[str, Sequence[Label]]:
        """Id of each paragraph with votes of people → the votes that count."""
        return by_paragraph(self.current.votes)

    @cached_property
    def sample(self) -> Sample:
        return sample_of(self.paragraphs, self.drawn, self.current.votes)

    @property
    def basis(self) -> str:
        """A line that describes the sample of hand labels; "" without any."""
        n = int(self.labelled.by_hand.sum())
        return describe_sample(self.sample, n) if n else ""

    @property
    def tied(self) -> dict[str, list[Label]]:
        """Id of each paragraph with a tie between annotators → their votes."""
        votes = ties(self.current.votes, self.project.params.topics)
        return {id_: votes[id_] for id_ in self.paragraphs["id"] if id_ in votes}

    @cached_property
    def retired(self) -> dict[str, str]:
        """Id of each paragraph to label again → the reason, such as "army was dropped"."""
        rows = self.votes[self.votes["status"] == "retired"]
        names = dict(zip(rows["paragraph"], rows["given"], strict=True))
        names |= {line.paragraph: line.names for line in self.current.retired}
        ids = [id_ for id_ in self.paragraphs["id"] if id_ in names and id_ not in self.answers_on]
        meaning = self.project.params.topics.current_meaning
        reasons = {id_: meaning(names[id_]).retired for id_ in ids}
        # The codebook may have a name again that it had not when stage prepare ran.
        return {id_: reason for id_, reason in reasons.items() if reason}

    @cached_property
    def next_time(self) -> str:
        """Time of a vote that is later than all others, as `Label.when`; "" without votes.

        Sheets contain it, because the latest vote counts, and weights depend on their order.
        """
        return after(max(line.time for line in self.lines)) if self.lines else ""

    def in_units(self, text: str) -> str:
        """Replace the word paragraph in a text by the project's name for it."""
        return in_units(text, self.project.params.unit)

    def columns(self, names: Sequence[str]) -> list[str]:
        """Names of the columns of `--by`: article in place of a source's column of groups."""
        sources = self.project.params.prepare.sources
        groups = [source.group for source in sources if not isinstance(source, str)]
        groups = [group for group in groups if group not in self.everything]
        return ["article" if name in groups else name for name in names]


class Mistakes(NamedTuple):
    """Wrong out-of-fold predictions of the champion.

    Attributes
    ----------
    answers
        All predictions, with labels; in `answers.mistakes` the wrong ones, the most certain first.
    confusions
        Confused topics in words, the most frequent first.
    slices
        A line on the number of tested slices, and a line for each slice with lower accuracy.
    """

    answers: EvaluatedPredictions
    confusions: list[str]
    slices: list[str]


class Project(folder.Project):
    """The project in a folder, with the results of its pipeline.

    Files are read at the first access and then cached, so open the project again after `dvc repro`.
    Several projects can be open at once. The parameter `folder` is the project's root, by default
    the current directory.

    Raises
    ------
    UserError
        By all methods and properties: a file is missing, damaged or out of date; the project names
        sources outside of it without the user's consent; a column or value does not exist; shares
        have no random sample of enough labels; or `labels_file` is not in params.yaml, or is
        outside of the project.
    """

    @cached_property
    def labelling(self) -> Labelling:
        """Labels of the last stage prepare in current names, and all lines of labels.csv now."""
        paths, log = self.paths, self.log
        refuse_untrusted(self)
        if not paths.paragraphs.exists():
            raise UserError(f"{paths.paragraphs} not found: `dvc repro` creates it")
        lines = read_lines(log) if log and log.exists() else []
        votes = tables.read_columns(paths.votes, label_tables.VOTES_SCHEMA)
        labels = tables.read_columns(paths.labels, label_tables.LABELS_SCHEMA)
        sample = tables.read_columns(paths.sample, label_tables.SAMPLE_SCHEMA)
        votes, labels = tables_in_current_names(votes, labels, self.params.topics)
        frame = with_sample(with_labels(tables.read_paragraphs(paths.paragraphs), labels), sample)
        return Labelling(self, frame, votes, sample, lines)

    @property
    def paragraphs(self) -> pd.DataFrame:
        """DataFrame of N paragraphs: id, article, position, text, and columns of metadata."""
        return self.labelling.everything

    @property
    def labels(self) -> pd.DataFrame:
        """DataFrame of n labelled paragraphs.

        Columns are id; topic, a tuple of the topics that count, () for none; label_source, "hand"
        or "weak"; draw and frame, how the paragraph was chosen; weight, the relative number of
        paragraphs that it stands for; effective_count, 0 to 1. Weak labels lack the last four.
        """
        columns = ["id", "topic", "label_source", "draw", "frame", "weight", "effective_count"]
        return self.labelling.labelled.rows[columns]

    @cached_property
    def comparison(self) -> Comparison:
        """Figures of all models, 0 to 1, out-of-fold; their differences; and the champion."""
        return Comparison.load(self.paths.comparison)

    def metrics(self, model: str | None = None) -> Metrics:
        """Return figures of a model, such as "baseline", or of the champion, 0 to 1, out-of-fold.

        `figures` of the result has metric → estimate with interval, and `topics` has topic →
        support, precision, recall and F1.
        """
        name = model or self.comparison.champion
        return Metrics.load(self.paths.model_reports / name / "metrics.json")

    @cached_property
    def champion(self) -> str:
        """Name of the champion; "" if no models were compared yet."""
        return self.comparison.champion if self.paths.comparison.exists() else ""

    @cached_property
    def changes(self) -> str:
        """Sources, settings and results that changed since `dvc repro`: "a, b and 3 more"; or "".

        DVC checks stage prepare and, if there is a champion, its stages and all evaluations.
        """
        stages = ["prepare"]
        if self.champion:
            stages += ["split", *(f"{stage}@{self.champion}" for stage in CHAMPION_STAGES)]
            stages += ["compare", *(f"evaluate@{name}" for name in self.params.models)]
        status = _dvc_status(self.paths, stages)
        names = [*self.changed_sources]
        for stage in stages:
            for change in status.get(stage, ()):
                names += _changed_names(change, stage)
        return shortened_list(list(dict.fromkeys(names)), 2)

    @cached_property
    def changed_sources(self) -> list[str]:
        """Files of texts, labels and metadata that changed, came or went since stage prepare."""
        before = self.prepared.read
        if not before:
            return []
        logs = [self.log] if self.log else []
        now = digests_of(self.paths, self.params.prepare.sources, *logs)
        return [path for path in {**before, **now} if before.get(path) != now.get(path)]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The champion's calibrated scores of labelled paragraphs that folds hold out, by repeat.

        Columns are id, repeat, fold and, for each topic, `score TOPIC` and `threshold TOPIC`. There
        are no rows if nothing was held out. A UserError reports a missing champion, or changes.
        """
        if not self.champion:
            raise UserError("no model is trained and measured yet: run `dvc repro` first")
        scores = tables.read_parquet(self.paths.scores / self.champion / files.IN_CONTEXT)
        if self.changes:
            raise UserError(f"{self.changes} changed since the last scores: run `dvc repro` first")
        return scores

    @cached_property
    def prepared(self) -> Prepared:
        """The report of stage prepare."""
        return Prepared.load(self.paths.prepared)

    @property
    def unread(self) -> list[str]:
        """Files among the sources that stage prepare has not read; [] if a source is missing."""
        try:
            sources = files_of(self.paths, self.params.prepare.sources)
        except UserError:
            return []  # Prepared paragraphs can be labelled without their sources.
        return [name for name in map(self.paths.name, sources) if name not in self.prepared.read]

    @property
    def labels_file(self) -> Path:
        """The file that new labels are added to."""
        if self.log is None:
            raise UserError("params.yaml names no file of labels: set prepare.labels")
        files.refuse_outside(self.log, self.paths.root)
        return self.log

    def corpus(
        self,
        of: population.Counted = "paragraphs",
        *,
        predictor: Sequence[str] = (),
        new_articles: bool = False,
    ) -> population.Corpus:
        """Return the corpus, with labels and predictions, from which shares are estimated.

        The champion predicts texts that models of the folds have not, which may take minutes.

        Parameters
        ----------
        of
            Unit that shares count: "paragraphs", the default, "words" or "articles".
        predictor
            Columns of metadata that replace the models' predictions: one of topics, or one of
            probabilities for each topic, in the codebook's order. By default, the models predict.
        new_articles
            Whether intervals are for further articles like these. By default, for these only.
        """
        labelling, topics = self.labelling, self.params.topics
        frame, no_topic = labelling.paragraphs, self.params.prepare.no_topic
        source = (
            population.predictor_from_columns(labelling.everything, predictor, topics, no_topic)
            if predictor
            else self.cross_predictor(self.champion, self.scores, frame)
        )
        corpus = population.corpus_of(frame, labelling.everything, source, topics, of)
        return corpus.for_new_articles() if new_articles else corpus

    def cross_predictor(
        self, champion: str, scores: pd.DataFrame, frame: pd.DataFrame
    ) -> population.CrossPredictor:
        """Make a predictor of a corpus from the out-of-fold scores of the model named `champion`.

        `scores` are of labelled paragraphs; those of others are read. If texts of `frame`, the
        paragraph table, have none, the final model predicts all texts, corrected with the scores.
        """
        out_of_fold = self.paths.scores / champion
        unlabelled = tables.read_parquet(out_of_fold / files.UNLABELLED)
        path = out_of_fold / files.UNFOLDED
        unfolded = tables.read_parquet(path) if path.exists() else scores[:0]
        predict = partial(self._probabilities, champion, frame)
        return population.CrossPredictor(scores, unlabelled, unfolded, predict)

    def _probabilities(self, champion: str, frame: pd.DataFrame, ids: pd.Series) -> np.ndarray:
        """Calibrated probabilities (n, k) of `ids`, kept in a file until texts or model change."""
        model, path = self.load(champion), self.paths.predictions
        texts = tables.passages_for(frame, ids)
        texts_digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
        digest = f"{files.sha256(self.paths.paragraphs)} {texts_digest} {model.digest}"
        with suppress(OSError, pa.ArrowException):  # There is no cache, or it is damaged.
            cached = pq.read_table(path)
            if (cached.schema.metadata or {}).get(b"of") == digest.encode():
                return np.column_stack([column.to_numpy() for column in cached.columns])
        parts = []
        with progress_bar("distinct paragraphs", len(texts)) as advance:
            for start in range(0, len(texts), STEP):
                parts.append(model.predict_proba(texts[start : start + STEP]))
                advance(min(start + STEP, len(texts)))
        predicted = np.concatenate(parts)
        table = pa.table({name: predicted[:, k] for k, name in enumerate(model.classes_)})
        # Without a cache, the champion predicts again each time.
        with suppress(OSError), files.atomic_write(path) as draft:
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
        """Estimate the share of each topic in the project, with confidence intervals.

        Parameters
        ----------
        by
            One or two columns that divide the paragraphs: decade, year, month, date, article, or a
            column of metadata. None, the default, for shares of the whole project only.
        compare
            Two values of the column, for first minus second. By default, last period minus first,
            or of only two values the second minus the first.
        corpus
            Corpus from the method `corpus`; by default, all paragraphs.
        distinct
            Whether copies of a text count once for each value of `by`. By default, each counts.

        Returns
        -------
        Findings with shares, 0 to 1, in the DataFrame `table`: a row for each topic and, in mode
        single, for none, first of the project, then of each value of `by`. The DataFrame `changes`
        has differences and trends of shares, in which -0.1 means ten percentage points less.
        """
        by = self.labelling.columns([by] if isinstance(by, str) else by or [])
        corpus = self.corpus() if corpus is None else corpus
        confidence, seed = self.params.evaluate.confidence, self.params.seed
        return find_shares(corpus, by, confidence, copies=not distinct, compare=compare, seed=seed)

    def errors(self, by: Sequence[str] = ()) -> Mistakes:
        """Return the champion's wrong out-of-fold predictions, and slices where it errs more often.

        `by` names the columns whose values are slices: length, position, heading, annotator,
        decade, year, month, or metadata with at most 30 values; by default, all of these. Another
        column is a UserError. The result has all predictions in `answers`, the wrong ones in
        `answers.mistakes`, and lines of text in `confusions` and `slices`.
        """
        labelling, params, scores = self.labelling, self.params, self.scores
        if scores.empty:
            raise UserError(
                "nothing has been measured yet, so no mistakes are known: label more paragraphs, "
                "and run `dvc repro`"
            )
        labelled = replace(labelling.labelled, folds=tables.read_parquet(self.paths.folds))
        answers = evaluated_predictions(labelled, scores)
        people = {}
        for paragraph, votes in labelling.answers_on.items():
            people[paragraph] = " and ".join(sorted({vote.who for vote in votes}))
        values = slice_columns(labelling.everything, list(answers.table["id"]), people, by)
        slices = find_slices(values, answers, params.evaluate.confidence, params.seed)
        return Mistakes(answers, confusions(answers, params.topics), describe_slices(slices))

    def load(self, model: str | None = None) -> Model:
        """Load a model of the project: a kind, such as "baseline"; by default, the champion."""
        return load(self.paths.models / model if model else self.paths.champion)

    def predict(self, texts: Iterable[str | Passage]) -> list[Prediction]:
        """Predict n texts with the champion: n predictions, with probabilities from 0 to 1."""
        return self.load().predict(texts)


def _dvc_status(paths: files.Paths, stages: list[str]) -> dict[str, list[object]]:
    """Changed stage → its changes, as `dvc status` lists them; {} and a printed note if DVC fails.

    It takes DVC's lock, and writes to its folder.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(paths.root) as repo:
            changes = repo.status([f"{paths.pipeline}:{stage}" for stage in stages])
            return {stage.rpartition(":")[2]: changes[stage] for stage in changes}
    except (DvcException, OSError, KeyError) as error:  # KeyError: the user has no name.
        reason = str(error).partition("\n")[0]
        print(f"note: it is not known whether results are up to date, because DVC says: {reason}")
        return {}


def _changed_names(change: object, stage: str) -> list[str]:
    """Files and settings ("seed in params.yaml") in an entry of `dvc status`; [] if it is a text.

    Deleted files are left out, because stages write them again, and so are dependencies of stage
    prepare, because `changed_sources` has them.
    """
    if not isinstance(change, dict):
        return []
    names = []
    for section, paths in change.items():
        for path, kind in paths.items():
            if isinstance(kind, dict):
                names += [f"{key} in {path}" for key in kind]
            elif kind == "modified" and (stage, section) != ("prepare", "changed deps"):
                names.append(path)
    return names
