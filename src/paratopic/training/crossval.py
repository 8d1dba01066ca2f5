"""Out-of-fold scores, and the final model of every label, for either kind of model.

How a model is fitted is for `baseline` and `transformer`, which fold a paragraph is in for
`corpus.folds`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from paratopic.corpus.folds import iterate_folds
from paratopic.corpus.table import targets_of
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples, Fit, Fitted


def fitter(name: str, topics: Topics, section: object) -> Fit:
    """How the model called `name` is fitted, with its section of the params."""
    # By name: a model's stage imports that model's room alone.
    room = importlib.import_module(f"paratopic.{name}.fit")

    def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
        fitted: Fitted = room.fit(examples, topics, section, seed, advance)
        return fitted

    return fit


def is_first_process() -> bool:
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
    for done, (repeat, fold, train, test) in enumerate(iterate_folds(folds, list(rows["id"]))):
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
    examples = Examples(list(rows["text"]), targets_of(rows, names), group.to_numpy(), article)
    # A seed of its own for each fit, whichever fits came before.
    return fit(examples, int(np.random.SeedSequence(seed).generate_state(1)[0]), advance)
