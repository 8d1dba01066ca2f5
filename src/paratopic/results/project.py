"""What a project's pipeline found: tables and objects.

This is the package's face, above all rooms. Commands print what is here, and alone import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.corpus.table import read_parquet, texts_of
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.outcomes import Answered, answered, confusions
from paratopic.evaluation.report import Metrics
from paratopic.findings import groups
from paratopic.findings.population import (
    Corpus,
    Counted,
    CrossPredictor,
    corpus_of,
    given_predictor,
)
from paratopic.findings.slices import columns_of, describe_slices, find_slices
from paratopic.inference import model as models
from paratopic.project import files, folder
from paratopic.project.errors import UserError
from paratopic.project.terminal import bar
from paratopic.results.labelling import Labelling, read_labelling

if TYPE_CHECKING:
    from paratopic.inference.model import Model
    from paratopic.inference.prediction import Prediction
    from paratopic.project.passages import Passage

# Paragraphs that are predicted between two steps of the progress bar.
STEP = 256


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
        return read_labelling(self)

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

    def corpus(
        self,
        of: Counted = "paragraphs",
        *,
        predictor: Sequence[str] = (),
        new_articles: bool = False,
    ) -> Corpus:
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
            given_predictor(labelling.everything, predictor, topics, no_topic)
            if predictor
            else self.cross_predictor(labelling.champion, labelling.scores, frame)
        )
        corpus = corpus_of(frame, labelling.everything, predicts, topics, of)
        return corpus.for_new_articles() if new_articles else corpus

    def cross_predictor(
        self, champion: str, scores: pd.DataFrame, frame: pd.DataFrame
    ) -> CrossPredictor:
        """What models of the folds predict; a paragraph table is for the champion to predict."""
        unlabelled, apart = (
            self.paths.scores / champion / name for name in (files.UNLABELLED, files.APART)
        )
        return CrossPredictor(
            scores,
            read_parquet(unlabelled),
            read_parquet(apart) if apart.exists() else scores[:0],
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
        corpus: Corpus | None = None,
        distinct: bool = False,
    ) -> groups.Findings:
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
        return groups.find(
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
        if (scores := labelling.scores).empty:
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
        return models.load(self.paths.models / model if model else self.paths.champion)

    def predict(self, texts: Iterable[str | Passage]) -> list[Prediction]:
        """Predict texts by the champion; probabilities are 0 to 1."""
        return self.load().predict(texts)
