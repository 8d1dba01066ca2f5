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
from paratopic.corpus import targets
from paratopic.metrics import Array, Targets, classes, topical
from paratopic.splits import splits
from paratopic.topics import Mode, Topics

# Told how much is done: of one fit its share, 0 to 1; of several also the fits before it.
Advance = Callable[[float], None]

# Labelled articles that the topics' descriptions are worth.
DESCRIPTION_ARTICLES = 3
# Fewer rows than this are worth their products with each other.
WIDE = 2000
# Logits for each unit of likeness to a topic's description, before any label is seen.
PRIOR_SCALE = 10.0


@dataclass(frozen=True)
class Examples:
    """Training examples.

    Parameters
    ----------
    texts
        n texts.
    targets
        (n, k) whether they have each topic.
    groups
        (n,) numbers of units that no inner split tears apart.
    articles
        (n,) numbers of the articles that they are from.
    """

    texts: Sequence[str]
    targets: Targets
    groups: npt.NDArray[np.int64]
    articles: npt.NDArray[np.int64]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(n,) class numbers, of the first topic where there are several; -1 for none."""
        return classes(self.targets)

    def topical(self) -> Examples:
        """Those that have a topic."""
        some = topical(self.targets)
        texts = [text for text, has in zip(self.texts, some, strict=True) if has]
        return Examples(texts, self.targets[some], self.groups[some], self.articles[some])


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
        """Probabilities, (n texts, k topics); see `classifier.Model.predict_proba`."""
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

    In mode single, examples with none of the topics tell nothing of which topic one is: they
    neither weigh nor count.

    Returns
    -------
    (n,) weights in [0, 1): all paragraphs of a lone article together weigh 1/4, each of a thousand
    lone paragraphs almost 1. Without descriptions there is nothing else to go by: all weigh 1.
    """
    whole = np.full(len(examples.texts), topics.mode == "multi")
    tells = topical(examples.targets) | whole
    weights: Array = tells.astype(np.float64)
    if not topics.descriptions:
        return weights
    articles = examples.articles[tells]
    size = np.bincount(articles, minlength=1)[articles]
    g = len(np.unique(articles))
    weights[tells] = g / (g + DESCRIPTION_ARTICLES) / (1 + (size - 1) / max(g, 1))
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
    # To the end: with looser bounds a paragraph between two topics may change sides.
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "gtol": 1e-6, "ftol": 1e-12},
    )
    change = found.x.reshape(len(rows), d + 1)
    coef[rows] += change[:, :d]
    intercept[rows] = change[:, d]
    return coef, intercept


def binary(
    features: Array | sparse.csr_matrix,
    has: npt.NDArray[np.bool_],
    weights: Array,
    strength: float,
    prior: Array,
) -> tuple[Array, float]:
    """Fit the chance that a text has something: `logistic` with two classes.

    Parameters
    ----------
    features
        (n, d).
    has, weights
        (n,) whether the examples have it, and their weights.
    strength
        As for `logistic`.
    prior
        (d,) coefficients before any label is seen; zeros say nothing.

    Returns
    -------
    coef
        (d,).
    intercept
        Without a prior inf where all examples have it, else -inf where none has.
    """
    if not prior.any() and (has.all() or not has.any()):
        return prior.copy(), np.inf if len(has) and has.all() else -np.inf
    two = np.array([-prior / 2, prior / 2])
    coef, intercept = logistic(features, has.astype(np.int64), weights, strength, two)
    return coef[1] - coef[0], float(intercept[1] - intercept[0])


def head(
    features: Array | sparse.csr_matrix,
    targets: Targets,
    weights: Array,
    share: Array,
    mode: Mode,
    strength: float,
    prior: Array,
) -> tuple[Array, Array]:
    """Fit the layer that makes logits, as `classifier.probabilities` takes them, of features.

    In mode single a multinomial regression tells the topics apart, and a second one, of every
    example, whether a text has one of them at all. In mode multi each topic has its own.

    Parameters
    ----------
    features
        (n, d).
    targets, weights
        (n, k) topics of the examples, and (n,) how much each of them tells (`evidence`).
    share
        (n,) what the examples are of a text.
    mode, strength
        Of the topics, and as for `logistic`.
    prior
        (k, d) likeness to the topics' descriptions, as logits; zeros without.

    Returns
    -------
    coef, intercept
        (k + 1, d) and (k + 1,) in mode single, (k, d) and (k,) in mode multi.
    """
    nothing = np.zeros((1, features.shape[1]))
    if mode == "single":
        prior = np.vstack([prior, nothing])
    else:
        # As much as another topic's description is like it is likeness to nothing.
        prior = prior - prior.mean(axis=0, keepdims=True)
    fit = partial(_fit_head, targets=targets, weights=weights, share=share, mode=mode)
    n, d = features.shape
    if n == 0 or n >= min(d, WIDE):
        return fit(features, prior, strength)
    # What the best coefficients have beside the prior is a sum of the rows (the representer
    # theorem; Schölkopf, Herbrich & Smola 2001): fewer numbers have to be found.
    gram = np.asarray(
        (features @ features.T).toarray() if sparse.issparse(features) else features @ features.T
    )
    values, vectors = np.linalg.eigh(gram)
    some = values > values[-1] * 1e-10
    basis = vectors[:, some] / np.sqrt(values[some])
    near = (features @ prior.T).T @ basis
    coef, intercept = fit(gram @ basis, near, strength)
    return prior + (features.T @ (basis @ (coef - near).T)).T, intercept


def _fit_head(
    features: Array | sparse.csr_matrix,
    prior: Array,
    strength: float,
    targets: Targets,
    weights: Array,
    share: Array,
    mode: Mode,
) -> tuple[Array, Array]:
    """`head` with a prior for each row of coefficients, in the space of these features."""
    if mode == "multi":
        fits = [
            binary(features, has, balanced(has.astype(np.int64), weights), strength, of_topic)
            for has, of_topic in zip(list(targets.T), prior, strict=True)
        ]
        return np.array([coef for coef, _ in fits]), np.array([level for _, level in fits])
    some = topical(targets)
    labels = classes(targets[some])
    balance = balanced(labels, weights[some])
    coef, intercept = logistic(features[some], labels, balance, strength, prior[:-1])
    of_any, level = prior[-1], np.inf
    if not some.all():
        of_any, level = binary(features, some, share, strength, of_any)
    return np.vstack([coef, of_any]), np.append(intercept, level)


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
        Labelled paragraphs, from `corpus.labelled`.
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
    examples = Examples(list(rows["text"]), targets(rows, names), group.to_numpy(), article)
    # A seed of its own for each fit, whichever fits came before.
    return fit(examples, int(np.random.SeedSequence(seed).generate_state(1)[0]), advance)
