"""What predicts the texts of a corpus whose shares are estimated: models of the folds, or a table.

How predictions become shares is for `shares`. No file is read, and no model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import labelled_in
from paratopic.corpus.table import targets_of, values_of
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.project.errors import UserError, in_short
from paratopic.project.periods import UNKNOWN
from paratopic.project.topics import NONE_CELL, Topics, split_cell

# Paragraphs that a message names.
MOST_NAMED = 3
# Probabilities of a paragraph may sum to a little more than 1, as they are written.
ROUNDING = 1e-6


class Predictions(NamedTuple):
    """What is predicted for N texts or articles; the fields are those of `Sample`."""

    probabilities: Array
    rate: float = 1.0
    noise: Array | None = None


@dataclass(frozen=True)
class GivenPredictor:
    """A table's own predictions, such as those of a language model, which learnt from no label.

    Parameters
    ----------
    scores
        Columns id and one for each topic, with probabilities of all paragraphs.
    name
        What predicted, for people; "" of the project's own models.
    """

    scores: pd.DataFrame
    name: str

    def predict(self, frame: pd.DataFrame, topics: Topics, whole: bool) -> Predictions:
        """As `CrossPredictor.predict`; predictions of copies of a text are averaged."""
        mode, k = mode_of(topics.mode), len(topics.names)
        scores = self.scores.set_index("id").loc[frame["id"], topics.scores].to_numpy(np.float64)
        if whole:
            article = pd.factorize(frame["article"])[0].astype(np.int64)
            return Predictions(in_articles(mode.complete(scores), article, k))
        means = pd.DataFrame(scores).groupby(pd.factorize(frame["text"])[0]).mean()
        return Predictions(mode.complete(means.to_numpy()))


@dataclass(frozen=True)
class CrossPredictor:
    """The models of the folds, each of which predicts what its fold holds out.

    Parameters
    ----------
    scores
        Calibrated scores of labelled paragraphs: columns id, repeat and one for each topic.
    unlabelled
        The same of paragraphs without a label (`corpus.unlabelled`). Without any, nothing is
        predicted.
    apart
        The same, without a repeat, of paragraphs that are in no fold, labelled or not
        (`training.crossval.score_apart`). What models say of their topics tells nothing, and is not
        counted on.
    final
        Gives the calibrated probabilities (N, k) of the topics of N paragraphs with these ids, by
        the model that ships. It is asked only if models of the folds have predicted too few.
    """

    scores: pd.DataFrame
    unlabelled: pd.DataFrame
    apart: pd.DataFrame
    final: Callable[[pd.Series], Scores]
    name: ClassVar[str] = ""

    def predict(self, frame: pd.DataFrame, topics: Topics, whole: bool) -> Predictions:
        """Predict the distinct texts of a paragraph table with its labels, or its articles.

        They are numbered in order of appearance. Whole articles are predicted if `whole`. All
        probabilities are 0 if these models cannot.
        """
        mode, k = mode_of(topics.mode), len(topics.names)
        place = pd.factorize(frame["text"])[0]
        article, order = pd.factorize(frame["article"])
        n_texts, n_outcomes = place.max() + 1, mode.n_logits(k)
        nothing = Predictions(np.zeros((len(order) if whole else n_texts, n_outcomes)))
        is_labelled = np.zeros(n_texts, dtype=bool)
        is_labelled[place[frame["label_source"] != "none"]] = True
        repeats = self._by_repeat(frame, topics, place)
        is_predicted = np.asarray(np.isfinite(repeats).all(axis=(0, 2)))
        if self.unlabelled.empty or not is_predicted[is_labelled].all():
            return nothing
        if is_predicted.all():
            if whole:
                each = [in_articles(texts[place], article, k) for texts in repeats]
                return Predictions(np.mean(each, axis=0))
            return Predictions(repeats.mean(axis=0))
        if whole:  # too few of which all texts are predicted
            return nothing
        first = frame["id"].iloc[np.unique(place, return_index=True)[1]]
        rough, numbers = mode.complete(self.final(first)), np.flatnonzero(is_predicted)
        rate = float(is_predicted[~is_labelled].mean())
        rates = np.where(is_labelled[numbers], 1.0, rate)
        means = repeats[:, numbers].mean(axis=0)
        values, noise = nested(rough, means, numbers, rates)
        return Predictions(values, rate, noise)

    def _by_repeat(self, frame: pd.DataFrame, topics: Topics, place: Integers) -> Array:
        """Probabilities of the outcomes of N texts in R repeats, (R, N, K); NaN if not predicted.

        Topics that only labels in no fold have get none: their probability counts as that of no
        topic. So a topic's share rests on its labels alone, and shares of outcomes that exclude
        each other sum to 1 as before.
        """
        mode, k, number = mode_of(topics.mode), len(topics.names), pd.Series(place, frame["id"])
        hand = labelled_in(frame, topics).hand
        measured, there = (
            hand.targets[hand.rows["id"].isin(ids)].any(axis=0)
            for ids in (self.scores["id"], [*self.scores["id"], *self.apart["id"]])
        )
        hidden, repeats = there & ~measured, sorted({*self.scores["repeat"]})
        values = np.full((max(len(repeats), 1), place.max() + 1, mode.n_logits(k)), np.nan)
        for complete, repeat in zip(values, repeats, strict=False):
            tables = (each[each["repeat"] == repeat] for each in (self.scores, self.unlabelled))
            table = pd.concat([*tables, self.apart])[["id", *topics.scores]]
            table = table[table["id"].isin(frame["id"])]
            means = table.groupby(number.loc[table["id"]].to_numpy())[topics.scores].mean()
            complete[means.index] = mode.complete(means.to_numpy(dtype=np.float64))
            complete[:, k:] += complete[:, :k][:, hidden].sum(axis=1, keepdims=True)
            complete[:, :k][:, hidden] *= 0.0
        return values


def nested(rough: Array, predicted: Array, numbers: Integers, rates: Array) -> tuple[Array, Array]:
    """Predictions for all texts, if those that count are known of a random sample alone.

    Their mean in any part is that of the rough ones, corrected by how far the two are apart in the
    sample (difference estimator: Särndal, Swensson & Wretman 1992, Model Assisted Survey Sampling,
    chapter 6).

    Parameters
    ----------
    rough
        (N, K) predictions for all texts.
    predicted, numbers, rates
        (m, K) predictions that count, (m,) numbers of the texts that have them, and (m,) chances
        that these texts got them.

    Returns
    -------
    (N, K) predictions, some of them below 0 or above 1, and the variance that each one has.
    """
    gaps, rates = predicted - rough[numbers], rates[:, None]
    values, noise = rough.copy(), np.zeros_like(rough)
    values[numbers] += gaps / rates
    noise[numbers] = (1 - rates) * (gaps / rates) ** 2
    return values, noise


def given_predictor(
    rows: pd.DataFrame, columns: Sequence[str], topics: Topics, no_topic: Collection[str]
) -> GivenPredictor:
    """Read predictions from columns of the paragraphs' own tables.

    Parameters
    ----------
    rows
        All paragraphs, with columns of what each is from.
    columns
        One column with topics as labels are written, and `NONE_CELL` for none of them; or a column
        of probabilities for each topic, in the order of the codebook.
    no_topic
        What else means none of the topics.

    Raises
    ------
    UserError
        There is no such column, or a paragraph has no prediction or one that cannot be read.
    """
    if len(columns) not in (1, len(topics.names)):
        raise UserError(
            f"--predictor: name one column with topics, or {len(topics.names)} columns with the "
            f"probabilities of {in_short(list(topics.names), len(topics.names))}"
        )
    option = f"--predictor {' --predictor '.join(columns)}"
    cells = np.array([values_of(rows, name, "--predictor") for name in columns], dtype=object).T
    if (empty := (cells == UNKNOWN).any(axis=1)).any():
        raise UserError(
            f"{option}: {in_short(list(rows['id'][empty]), MOST_NAMED)}: no prediction. Write none "
            "where none of the topics is predicted, and run `dvc repro prepare`"
        )
    if len(columns) == 1:
        names = [
            ()
            if cell in {NONE_CELL, *no_topic}
            else topics.check(split_cell(cell), f"{option}, {id_}")
            for cell, id_ in zip(cells[:, 0], rows["id"], strict=True)
        ]
        values = targets_of(map(topics.counted, names), topics.names).astype(np.float64)
    else:
        values = pd.DataFrame(cells).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        # Of the topics of a question, one is true at most.
        totals = np.array([part.sum(axis=1) for part in np.split(values, topics.most, axis=1)])
        if (wrong := ~((values >= 0).all(axis=1) & (totals <= 1 + ROUNDING).all(axis=0))).any():
            raise UserError(
                f"{option}: {in_short(list(rows['id'][wrong]), MOST_NAMED)}: probabilities are "
                "numbers from 0 to 1; of one paragraph they sum to 1 at most, unless topics.mode "
                "is multi"
            )
    scores = pd.DataFrame(values, columns=topics.scores).assign(id=rows["id"].to_numpy())
    words = in_short(list(columns), len(columns))
    return GivenPredictor(scores, f"the predictions in {words}")


def in_articles(outcomes: Array, articles: Integers, k: int) -> Array:
    """Outcomes of articles, or their probabilities, from those of their paragraphs.

    An article has a topic if any of its paragraphs has it, and none of the topics if all of them
    have none. Its probability of a topic is that of its likeliest paragraph. Products, as of
    independent paragraphs, are far too high, because a model errs alike in all of an article.

    >>> in_articles(np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]), np.array([0, 0, 1]), 1)
    array([[0.75, 0.25],
           [0.  , 1.  ]])

    Parameters
    ----------
    outcomes
        (n, K) whether each paragraph has each outcome, or its probability of that.
    articles
        (n,) number of each paragraph's article, from 0 to A - 1.
    k
        Number of topics, which come first among the outcomes; then none of them, in mode single.

    Returns
    -------
    (A, K) the same for each article.
    """
    of_article = pd.DataFrame(outcomes).groupby(articles)
    highest, lowest = of_article.max().to_numpy(), of_article.min().to_numpy()
    return np.hstack([highest[:, :k], lowest[:, k:]])
