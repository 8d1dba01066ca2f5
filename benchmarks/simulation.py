"""Small labelled sets drawn from a big table, for what can only be known by repetition.

Folds and out-of-fold scores are the project's own. A frozen encoder stands in for the transformer:
its embeddings are computed once, so that thousands of trainings take minutes. The encoder is not
tuned here, and topics have no descriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from tables import Table

from paratopic.corpus.duplicates import near_duplicates
from paratopic.corpus.folds import ALWAYS_TRAIN, iterate_folds, make_folds
from paratopic.corpus.labelled import Labelled, group_numbers
from paratopic.evaluation.outcomes import Outcomes, train_shares
from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.modes import (
    Array,
    Calibration,
    Features,
    Integers,
    Scores,
    mode_of,
    one_hot,
)
from paratopic.project.languages import choose_encoder
from paratopic.project.params import Params
from paratopic.project.texts import Texts
from paratopic.project.topics import Topics, split_cell
from paratopic.training.calibration import calibrate_rows
from paratopic.training.crossval import cross_validate
from paratopic.training.examples import Advance, Examples, Fit, Fitted, Parity, evidence
from paratopic.training.head import fit_head, regression_of, training_data
from paratopic.transformer.encoder import load_encoder, pick_device

Embeddings = dict[str, npt.NDArray[np.float64]]
# How a model for some topics is fitted.
Learner = Callable[[Topics], Fit]

RIDGE = 0.1
MOST_ROWS = 4000  # of a table, for the stand-ins
HEAD_STRENGTH = 10.0  # C, as in the transformer's head
# A table whose group column has fewer values names its parts there, not its articles.
LEAST_ARTICLES = 100


def population(table: Table, by_group: bool = False) -> pd.DataFrame:
    """The table as labelled paragraphs: id, article, text, label, topic and label_source.

    Where the table names no articles, each row is one, together with its near-duplicates. So it is
    where groups are few, unless they are wanted (`by_group`).
    """
    rows = table.rows
    article = rows["group"]
    if article.nunique() < LEAST_ARTICLES and not by_group:
        article = pd.Series(near_duplicates(list(rows["text"]))).astype(str)
    return pd.DataFrame(
        {
            "id": [f"row {number}" for number in range(len(rows))],
            "article": article,
            "text": rows["text"],
            "label": rows["label"],
            "topic": rows["label"].map(split_cell),
            "label_source": "hand",
            "boilerplate": False,
        }
    )


def without(rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Rows of a population of which those with certain labels have none of the topics."""
    label = rows["label"].mask(rows["label"].isin(labels), "")
    return rows.assign(label=label, topic=label.map(split_cell))


@dataclass(frozen=True)
class Draw:
    """A labelled set, and the articles of the population that are not in it."""

    labelled: pd.DataFrame
    rest: pd.DataFrame

    @property
    def topics(self) -> Topics:
        """The topics of the labelled set."""
        return Topics("single", tuple(sorted(set(self.labelled["label"]))))

    def truth(self) -> npt.NDArray[np.int64]:
        """Class numbers of the rest, (n,)."""
        return pd.Index(self.topics.names).get_indexer(pd.Index(self.rest["label"]))


def draw(rows: pd.DataFrame, n: int, seed: int) -> Draw:
    """Draw n rows, article by article; topics that they miss are left out of the rest too."""
    rng = np.random.default_rng([seed, n])
    articles = rng.permutation(rows["article"].unique())
    rank = pd.Series(np.arange(len(articles)), index=articles)
    shuffled = rows.iloc[np.argsort(rank[rows["article"]].to_numpy(), kind="stable")]
    labelled, rest = shuffled.iloc[:n], shuffled.iloc[n:]
    known = rest["label"].isin(labelled["label"]) & ~rest["article"].isin(labelled["article"])
    return Draw(labelled.sort_values("id", ignore_index=True), rest[known])


def calibrated(
    data: Labelled, scores: pd.DataFrame, params: Params
) -> tuple[pd.DataFrame, Calibration]:
    """Calibrated out-of-fold scores and the final model's calibration, as the pipeline has them."""
    return calibrate_rows(data, scores, params.calibrate)[:2]


def cross_validated(
    labelled: pd.DataFrame, fit: Fit, topics: Topics, params: Params, seed: int
) -> tuple[Labelled, pd.DataFrame, Calibration]:
    """Labelled rows in the folds of one repeat, and what `calibrated` makes of their scores.

    Raises
    ------
    TooFewLabels
        The labels are too few for folds.
    """
    folds = make_folds(labelled, params.split.n_folds, 1, None, seed).table
    data = Labelled(labelled, topics, folds)
    return data, *calibrated(data, cross_validate(data, fit, seed).scores, params)


def embeddings(texts: Sequence[str], params: Params, kept: Path | None) -> Embeddings:
    """Unit embeddings of texts by the frozen encoder; of long texts, of their beginning.

    Parameters
    ----------
    texts
        Any number of texts.
    params
        Names the encoder, the device and the tokens that are read.
    kept
        A .npz that keeps embeddings, so that no text is encoded twice, or None. It is not checked
        that the encoder is still the same.
    """
    known: Embeddings = {}
    if kept is not None and kept.is_file():
        with np.load(kept) as file:
            known = dict(zip(file["texts"].tolist(), file["vectors"], strict=True))
    missing = sorted(set(texts) - known.keys())
    if not missing:
        return known
    wish = params.section("transformer")
    encoder = load_encoder(choose_encoder(wish.encoder, missing)[0], pick_device(wish.device))
    encoder.max_seq_length = wish.max_tokens
    vectors = encoder.encode(missing, normalize_embeddings=True, show_progress_bar=False)
    known |= dict(zip(missing, vectors.astype(np.float64), strict=True))
    if kept is not None:
        np.savez(kept, texts=np.array(list(known)), vectors=np.array(list(known.values())))
    return known


def stand_ins(
    table: Table, params: Params, kept: Path | None, by_group: bool = False
) -> tuple[pd.DataFrame, Features, Array]:
    """Rows of a table, `MOST_ROWS` at most, and their TF-IDF features and embeddings.

    Parameters
    ----------
    table
        The table.
    params
        Settings of the project.
    kept
        Folder to keep the embeddings in, or None.
    by_group
        As for `population`.
    """
    rows = population(table, by_group)
    if len(rows) > MOST_ROWS:
        rows = rows.sample(MOST_ROWS, random_state=params.seed).sort_index(ignore_index=True)
    known = embeddings(list(rows["text"]), params, kept and kept / f"{table.name}.npz")
    words = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", ngram_range=(1, 2))
    tfidf = words.fit_transform(rows["text"])
    return rows, tfidf, np.array([known[text] for text in rows["text"]])


def noisy(vectors: Array, strength: float, rng: np.random.Generator) -> Array:
    """Vectors (n, d) seen through noise, of unit length again."""
    noise = rng.standard_normal(vectors.shape)
    seen = vectors + strength * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    unit: Array = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return unit


def least_squares(train: Array, test: Array, labels: Integers) -> Array:
    """Scores of test rows, (m, k), by regularised least squares; every topic weighs the same.

    Parameters
    ----------
    train, test
        (n, n) and (m, n) products of the features of n training rows with each other, and of m test
        rows with them.
    labels
        (n,) class numbers of the training rows.
    """
    targets = np.eye(labels.max() + 1)[labels]
    counts = np.bincount(labels)[labels]
    penalty = RIDGE * np.diag(counts / counts.mean())
    dual = np.linalg.solve(train + 1 + penalty, targets)
    scores: Array = (test + 1) @ dual
    scores[:, np.bincount(labels) == 0] = -np.inf  # a class without an example
    return scores


def out_of_fold(each: Array, labels: Integers, folds: pd.DataFrame, ids: Sequence[str]) -> Outcomes:
    """What cross-validation sees of least squares: the rows that are held out.

    Parameters
    ----------
    each
        (n, n) `products` of all rows with each other.
    labels
        (n,) class numbers.
    folds, ids
        Folds of the rows, and their ids.
    """
    groups = group_numbers(folds, ids)
    scores = np.full((folds["repeat"].nunique(), len(ids), labels.max() + 1), -np.inf)
    shares = []
    for repeat, _, train, test in iterate_folds(folds, ids):
        known = least_squares(each[np.ix_(train, train)], each[np.ix_(test, train)], labels[train])
        scores[repeat, test, : known.shape[1]] = known
        shares.append(len(train) / len(ids))
    measured, mode = is_held_out(folds, ids), mode_of("single")
    true, own = one_hot(labels, scores.shape[2]), scores[:, measured]
    return Outcomes(
        mode,
        true[measured],
        pd.factorize(groups[measured])[0].astype(np.int64),
        own,
        mode.candidates(own),
        float(np.mean(shares)),
        train_shares(true, folds, ids),
    )


def is_held_out(folds: pd.DataFrame, ids: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each row is held out in any fold, (n,): a topic in one paragraph never is."""
    held_out = set(folds.loc[folds["fold"] != ALWAYS_TRAIN, "id"])
    return np.array([name in held_out for name in ids])


def products(features: Features) -> Array:
    """Products of all rows with each other, (n, n)."""
    each = features @ features.T
    return np.asarray(each.toarray() if sparse.issparse(each) else each)


@dataclass
class Frozen(Fitted):
    """Frozen embeddings and the project's head on them."""

    known: Embeddings
    coef: Array
    intercept: Array

    def predict_proba(self, texts: Texts) -> Scores:
        """Probabilities, (n texts, k topics)."""
        features = np.array([self.known[text] for text in texts.plain])
        return mode_of(self.topics.mode).scores(features @ self.coef.T + self.intercept)

    def write(self, folder: Path) -> tuple[dict[str, Any], Parity]:
        """Is never saved."""
        raise NotImplementedError


def frozen(known: Embeddings) -> Learner:
    """The learner that fits a head to known embeddings."""

    def learner(topics: Topics) -> Fit:
        def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
            features = np.array([known[text] for text in examples.texts.plain])
            regression = regression_of(topics)
            prior = np.zeros((len(topics.outcomes), features.shape[1]))
            weights = evidence(examples, bool(topics.descriptions))
            learnt = training_data(features, examples, weights, regression, HEAD_STRENGTH, prior)
            head = fit_head(learnt, regression, HEAD_STRENGTH, prior)
            return Frozen(pd.DataFrame(), ContextWeights(), (), topics, known, *head)

        return fit

    return learner


def trained(room: ModuleType, section: object) -> Learner:
    """The learner that is one of the project's models: its module and its section of the params."""

    def learner(topics: Topics) -> Fit:
        def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
            model: Fitted = room.fit(examples, topics, section, seed, advance)
            return model

        return fit

    return learner
