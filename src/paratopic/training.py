"""The contract of models in training: what `fit` is given, what it returns, out-of-fold scores.

How a model is fitted is the business of `baseline` and `transformer`, which fold a paragraph is
in is `splits`'.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax

from paratopic.classifier import Calibration, Scores
from paratopic.metrics import Array
from paratopic.splits import splits
from paratopic.topics import Topics

# Told how much is done: of one fit its share, 0 to 1; of several also the fits before it.
Advance = Callable[[float], None]

# Labelled articles that the topics' descriptions are worth.
DESCRIPTION_ARTICLES = 3
# Logits for each unit of likeness to a topic's description, before any label is seen.
PRIOR_SCALE = 10.0


@dataclass(frozen=True)
class Examples:
    """Training examples.

    Parameters
    ----------
    texts
        n texts.
    labels
        (n,) class numbers; -1 for none of the topics.
    groups
        (n,) numbers of units that no inner split tears apart.
    articles
        (n,) numbers of the articles that they are from.
    """

    texts: Sequence[str]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    articles: npt.NDArray[np.int64]

    def topical(self) -> Examples:
        """Those that have a topic."""
        some = self.labels >= 0
        texts = [text for text, has in zip(self.texts, some, strict=True) if has]
        return Examples(texts, self.labels[some], self.groups[some], self.articles[some])


class Fitted(Protocol):
    """A trained model before it is saved.

    Attributes
    ----------
    history
        What the fit noted: two columns of numbers, such as step and loss.
    """

    history: pd.DataFrame

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names in codebook order."""
        ...

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Probabilities, (n texts, k topics); a row sums to that of having a topic at all."""
        ...

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write a folder that `classifier.load` opens; returns how like this model it answers."""
        ...


Fit = Callable[[Examples, int, Advance], Fitted]


def evidence(examples: Examples, topics: Topics) -> Array:
    """How much each example counts beside the topics' descriptions.

    Paragraphs of one article repeat each other: m of them count as m / (1 + (m - 1) r), the
    effective size of a cluster sample (Kish 1965) with an intraclass correlation r. Here r is 1/g
    with g labelled articles: what they have in common by chance shrinks as more are labelled. To
    it comes the factor g / (g + 3): what the descriptions say counts as three articles.

    Returns
    -------
    (n,) weights in (0, 1): all paragraphs of a lone article together weigh 1/4, each of a thousand
    lone paragraphs almost 1. Without descriptions there is nothing else to go by: all weigh 1.
    """
    if not topics.descriptions:
        return np.ones(len(examples.articles))
    size = np.bincount(examples.articles)[examples.articles]
    g = len(np.unique(examples.articles))
    weights: Array = g / (g + DESCRIPTION_ARTICLES) / (1 + (size - 1) / max(g, 1))
    return weights


def balanced(labels: npt.NDArray[np.int64], weights: Array) -> Array:
    """Scale weights (n,) so that every topic in `labels` has the same total; their sum stays."""
    total = np.bincount(labels, weights=weights)
    share = weights.sum() / max(1, np.count_nonzero(total))
    scaled: Array = weights * share / total[labels]
    return scaled


def logistic(
    features: Array | sparse.csr_matrix,
    labels: npt.NDArray[np.int64],
    weights: Array,
    strength: float,
    prior: Array,
) -> tuple[Array, Array]:
    """Fit a multinomial logistic regression whose coefficients are drawn to `prior`, not to 0.

    Minimises the weighted log loss plus (|coef - prior|² + |intercept|²) / (2 strength): the most
    probable coefficients when they are normal around the prior. With few labels the prior decides,
    with many the labels do.

    Parameters
    ----------
    features
        (n, d).
    labels, weights
        (n,) class numbers and weights of the examples; n may be 0.
    strength
        Variance of the coefficients around the prior; scikit-learn's C.
    prior
        (k, d) coefficients before any label is seen. A topic whose row is 0 and that is not in
        `labels` has nothing to be known by: its probability is 0.

    Returns
    -------
    coef
        (k, d).
    intercept
        (k,); -inf for a topic without anything to be known by.
    """
    k, d = prior.shape
    known = np.isin(np.arange(k), labels) | prior.any(axis=1)
    coef, intercept = prior.copy(), np.where(known, 0.0, -np.inf)
    if not len(labels):
        return coef, intercept
    rows = np.flatnonzero(known)
    # The prior's logits are fixed; what is fitted is the distance from it.
    fixed = features @ prior[rows].T
    truth = (labels[:, None] == rows).astype(np.float64)

    def loss(flat: Array) -> tuple[float, Array]:
        change = flat.reshape(len(rows), d + 1)
        shares = log_softmax(fixed + features @ change[:, :d].T + change[:, d], axis=1)
        error = (np.exp(shares) - truth) * weights[:, None]
        slope = np.hstack([(features.T @ error).T, error.sum(axis=0)[:, None]])
        value = -(weights[:, None] * shares * truth).sum() + (flat**2).sum() / (2 * strength)
        return float(value), slope.ravel() + flat / strength

    start = np.zeros(len(rows) * (d + 1))
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-4}
    )
    change = found.x.reshape(len(rows), d + 1)
    coef[rows] += change[:, :d]
    intercept[rows] = change[:, d]
    return coef, intercept


def topical(
    features: Array | sparse.csr_matrix,
    labels: npt.NDArray[np.int64],
    weights: Array,
    strength: float,
) -> tuple[Array, float]:
    """Fit the chance that a text has a topic: a logistic regression, topics against none.

    Parameters
    ----------
    features
        (n, d).
    labels, weights
        (n,) class numbers, -1 for none of the topics, and weights of the examples.
    strength
        Variance of the coefficients around 0; scikit-learn's C.

    Returns
    -------
    coef
        (d,).
    intercept
        inf where there is no text without a topic: then every text is taken to have one.
    """
    if (labels >= 0).all():
        return np.zeros(features.shape[1]), np.inf
    has = (labels >= 0).astype(np.int64)
    coef, intercept = logistic(features, has, weights, strength, np.zeros((2, features.shape[1])))
    return coef[1] - coef[0], float(intercept[1] - intercept[0])


def numbers(rows: pd.DataFrame, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Class numbers (n,) of the rows' topics; -1 for none of the topics."""
    number = {name: index for index, name in enumerate(names)}
    return np.array([number.get(topic, -1) for topic in rows["topic"]], dtype=np.int64)


def fitter(name: str, topics: Topics, section: object) -> Fit:
    """How the model called `name` is fitted, with its section of the params."""
    # By name: a model's stage imports that model's room alone.
    room = importlib.import_module(f"paratopic.{name}")

    def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
        fitted: Fitted = room.fit(examples, topics, section, seed, advance)
        return fitted

    return fit


def leads() -> bool:
    """Whether this process writes what was computed: the first of those that torchrun starts."""
    return os.environ.get("RANK", "0") == "0"


def n_fits(folds: pd.DataFrame) -> int:
    """Number of fits that `cross_validate` needs: one a fold and repeat."""
    return len(folds[folds["fold"] >= 0][["repeat", "fold"]].drop_duplicates())


def cross_validate(
    rows: pd.DataFrame,
    names: Sequence[str],
    folds: pd.DataFrame,
    fit: Fit,
    seed: int,
    advance: Advance,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every held-out paragraph with a model that saw nothing of its fold.

    Parameters
    ----------
    rows
        Labelled paragraphs: id, article, text and topic ('' for none of the topics).
    names
        Topic names in class order.
    folds
        From `splits.make_folds`.
    fit
        Fits one model to examples with a seed.
    seed
        Each fit draws its own seed from it.
    advance
        Told how many fits are done.

    Returns
    -------
    scores
        Columns id, repeat, fold and one score a topic; no rows where nothing is held out.
    history
        What each fit noted: columns repeat and fold, and its own.
    """
    scores, history = [], []
    for done, (repeat, fold, train, test) in enumerate(splits(folds, list(rows["id"]))):
        model = _fitted(
            rows.iloc[train], names, folds, fit, (seed, done), partial(_after, done, advance)
        )
        held_out = rows.iloc[test]
        where = {"repeat": repeat, "fold": fold}
        told = pd.DataFrame(model.predict_proba(list(held_out["text"])), columns=list(names))
        scores.append(pd.DataFrame({"id": held_out["id"].to_numpy()} | where).join(told))
        history.append(pd.DataFrame(where, index=model.history.index).join(model.history))
    if not scores:
        nothing = pd.DataFrame(columns=["id", "repeat", "fold", *names])
        return nothing, nothing[["repeat", "fold"]]
    return pd.concat(scores, ignore_index=True), pd.concat(history, ignore_index=True)


def fit_all(
    rows: pd.DataFrame,
    names: Sequence[str],
    folds: pd.DataFrame,
    fit: Fit,
    seed: int,
    advance: Advance,
) -> Fitted:
    """Fit the model that ships, on every label; parameters as in `cross_validate`."""
    return _fitted(rows, names, folds, fit, (seed, n_fits(folds)), advance)


def _after(done: int, advance: Advance, share: float) -> None:
    advance(done + share)


def _fitted(
    rows: pd.DataFrame,
    names: Sequence[str],
    folds: pd.DataFrame,
    fit: Fit,
    seed: tuple[int, int],
    advance: Advance,
) -> Fitted:
    group = folds.drop_duplicates("id").set_index("id")["group"].reindex(rows["id"])
    article = pd.factorize(rows["article"])[0].astype(np.int64)
    examples = Examples(list(rows["text"]), numbers(rows, names), group.to_numpy(), article)
    # A seed of its own for each fit, whichever fits came before.
    return fit(examples, int(np.random.SeedSequence(seed).generate_state(1)[0]), advance)
