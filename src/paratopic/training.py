"""The contract of models in training: what `fit` is given, what it returns, out-of-fold scores.

How a model is fitted is the business of `baseline` and `transformer`, which fold a paragraph is
in is `splits`'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from paratopic.classifier import Scores
from paratopic.splits import splits

# Told the share of one fit that is done, 0 to 1.
Advance = Callable[[float], None]


@dataclass(frozen=True)
class Examples:
    """Training examples.

    Parameters
    ----------
    texts
        n texts.
    labels
        (n,) class numbers.
    groups
        (n,) numbers of units that no inner split tears apart.
    """

    texts: Sequence[str]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]


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
        """Probabilities, (n texts, k topics)."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder that `classifier.load` opens."""
        ...


Fit = Callable[[Examples, int, Advance], Fitted]


def logistic(
    features: npt.NDArray[np.float64] | sparse.csr_matrix,
    labels: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    strength: float,
    k: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Fit a logistic regression with one row of weights a topic, also for those not in `labels`.

    Parameters
    ----------
    features
        (n, d).
    labels, weights
        (n,) class numbers and weights of the examples.
    strength
        C of scikit-learn's LogisticRegression.
    k
        Number of topics.

    Returns
    -------
    coef
        (k, d).
    intercept
        (k,); -inf for a topic that is not in `labels`, whose probability thereby is 0.
    """
    coef, intercept = np.zeros((k, features.shape[1])), np.full(k, -np.inf)
    present = np.unique(labels)
    intercept[present] = 0.0
    if len(present) > 1:
        model = LogisticRegression(C=strength, max_iter=1000)
        model.fit(features, labels, sample_weight=weights)
        # scikit-learn keeps one row for two classes: that of the second.
        rows = present if len(present) > 2 else present[1:]
        coef[rows], intercept[rows] = model.coef_, model.intercept_
    return coef, intercept


def n_fits(folds: pd.DataFrame) -> int:
    """Number of fits that `train` needs: one a fold and repeat, and the final one."""
    return len(folds[folds["fold"] >= 0][["repeat", "fold"]].drop_duplicates()) + 1


def train(
    rows: pd.DataFrame,
    names: Sequence[str],
    folds: pd.DataFrame,
    fit: Fit,
    seed: int,
    advance: Callable[[float], None],
) -> tuple[Fitted, pd.DataFrame, pd.DataFrame]:
    """Score every held-out paragraph, then fit on all labels.

    Parameters
    ----------
    rows
        Labelled paragraphs: id, text and topic ('' for none, scored but never trained on).
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
    model
        Fitted on all labels.
    scores
        Columns id, repeat, fold and one score a topic.
    history
        What each fit noted: columns repeat and fold (empty for the final fit) and its own.
    """
    group = folds.drop_duplicates("id").set_index("id")["group"].reindex(rows["id"]).to_numpy()
    number = {name: index for index, name in enumerate(names)}
    labels = np.array([number.get(topic, -1) for topic in rows["topic"]], dtype=np.int64)
    texts = rows["text"].to_numpy(dtype=object)

    def fitted(among: npt.NDArray[np.int64], done: int) -> Fitted:
        use = among[labels[among] >= 0]
        examples = Examples(list(texts[use]), labels[use], group[use])
        # A seed of its own for each fit, whichever fits came before.
        own = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
        return fit(examples, own, lambda share: advance(done + share))

    scores, history = [], []
    walk = list(splits(folds, list(rows["id"])))
    for done, (repeat, fold, train_rows, test_rows) in enumerate(walk):
        model = fitted(train_rows, done)
        part = pd.DataFrame(model.predict_proba(list(texts[test_rows])), columns=list(names))
        part.insert(0, "id", rows["id"].to_numpy()[test_rows])
        part.insert(1, "repeat", repeat)
        part.insert(2, "fold", fold)
        scores.append(part)
        history.append(_noted(model, repeat, fold))
    final = fitted(np.arange(len(rows)), len(walk))
    history.append(_noted(final, None, None))
    return final, pd.concat(scores, ignore_index=True), pd.concat(history, ignore_index=True)


def _noted(model: Fitted, repeat: int | None, fold: int | None) -> pd.DataFrame:
    n = len(model.history)
    where = {
        "repeat": pd.array([repeat] * n, dtype="Int64"),
        "fold": pd.array([fold] * n, dtype="Int64"),
    }
    return pd.concat([pd.DataFrame(where), model.history], axis=1)
