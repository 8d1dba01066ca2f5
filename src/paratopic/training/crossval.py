"""Out-of-fold scores, and the final model that is fitted to all labels, for any kind of model.

Only the modules of the requested kind of model are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed

from paratopic.corpus.folds import ALWAYS_TRAIN, iterate_folds
from paratopic.corpus.labelled import Labelled, Unlabelled, group_numbers, make_pool, read_labelled
from paratopic.corpus.table import passages_for, read_paragraphs, read_parquet, with_passages
from paratopic.inference.modes import Integers, Scores
from paratopic.project.files import Paths
from paratopic.project.kinds import KINDS
from paratopic.project.params import Params
from paratopic.project.texts import Texts, numbered
from paratopic.training.examples import Advance, Examples, Fit, Fitted, silent, topics_are_rare

# With fewer rows, starting processes takes longer than they save.
FEW_ROWS = 500


def fitter(kind: str, params: Params) -> Fit:
    """Function `fit` of a kind of model, with the topics and the kind's section of the params."""
    fit, section = resolve_name(KINDS[kind].fit), params.section(kind)
    return lambda examples, seed, advance: fit(examples, params.topics, section, seed, advance)


def labelled_for(kind: str, paths: Paths, params: Params) -> Labelled:
    """Read the labelled paragraphs of a project, their folds, and its pool (`with_pool`)."""
    data, paragraphs = read_labelled(paths, params.topics), read_paragraphs(paths.paragraphs)
    rows = with_passages(data.rows, paragraphs)
    data = replace(data, rows=rows, folds=read_parquet(paths.folds))
    return with_pool(data, paragraphs, kind, params)


def with_pool(data: Labelled, paragraphs: pd.DataFrame, kind: str, params: Params) -> Labelled:
    """Add a pool of `paragraphs` without a label, if the kind of model trains on one.

    The kind's setting `unlabelled` limits its distinct texts. There is no pool if topics are rare
    (`topics_are_rare`): most of its paragraphs would have none of the topics, and pseudo-labels of
    the others would be no better than chance.
    """
    uses_pool = KINDS[kind].uses_unlabelled
    if not uses_pool or topics_are_rare(data.hand_labelled.targets, params.topics):
        return data
    most = params.section(kind).unlabelled
    return replace(data, pool=make_pool(paragraphs, data.rows, most, params.seed))


def with_unlabelled(data: Labelled, paths: Paths) -> Labelled:
    """Add the paragraphs without a label that the folds of the project hold out."""
    dealt = read_parquet(paths.unlabelled)
    texts = numbered(passages_for(read_paragraphs(paths.paragraphs), dealt["id"]))
    return replace(data, unlabelled=Unlabelled(dealt, texts))


def processes_for(kind: str, n_rows: int) -> int:
    """Number of single-threaded processes that fit a model to the folds of n rows fastest."""
    return 1 if KINDS[kind].is_parallel or n_rows < FEW_ROWS else int(cpu_count())


def n_fits(folds: pd.DataFrame) -> int:
    """Number of fits that `cross_validate` needs: one for each fold of each repeat."""
    return len(folds[folds["fold"] >= 0][["repeat", "fold"]].drop_duplicates())


class CrossValidated(NamedTuple):
    """Out-of-fold scores, and the histories of the fits.

    Attributes
    ----------
    scores
        Columns id, repeat, fold and one of scores for each topic; no rows if nothing is held out.
    history
        Histories of all fits: columns repeat, fold and those of `Fitted.history`.
    without_context
        As `scores`, of the same paragraphs without context; equal if the models read none.
    unlabelled
        As `scores`, of the paragraphs without a label that folds hold out; NaN without their texts.
    """

    scores: pd.DataFrame
    history: pd.DataFrame
    without_context: pd.DataFrame
    unlabelled: pd.DataFrame


def cross_validate(
    data: Labelled, fit: Fit, seed: int, advance: Advance = silent, processes: int = 1
) -> CrossValidated:
    """Score each held-out paragraph with a model that was fitted without its fold.

    The scores are not calibrated. Rows are in the order of repeats and folds. Training texts and
    held-out texts share no context: see `Labelled.without_leakage`.

    Parameters
    ----------
    fit
        Fits one model, such as the result of `fitter`.
    seed
        Seed from which each fit gets a seed of its own.
    advance
        Called with the number of fits done so far, in fractions, too, if `processes` is 1.
    processes
        Number of processes, each of which does one fit at a time; 1, the default, stays in this
        process. The results do not depend on it.
    """
    parts = list(iterate_folds(data.folds, list(data.rows["id"])))
    if not parts:
        empty = pd.DataFrame(columns=["id", "repeat", "fold", *data.topics.score_columns])
        return CrossValidated(empty, empty[["repeat", "fold"]], empty, empty)
    processes = min(processes, len(parts))
    unlabelled = [data.unlabelled.select_fold(fold, repeat) for repeat, fold, _, _ in parts]
    fits = Parallel(processes, return_as="generator")(
        delayed(_score)(
            fit,
            *_without_leakage(data, train, test, others),
            others.texts,
            _seed(seed, done),
            (lambda more, done=done: advance(done + more)) if processes == 1 else silent,
        )
        for done, ((_, _, train, test), others) in enumerate(zip(parts, unlabelled, strict=True))
    )
    fold_results = []
    for done, ((repeat, fold, _, test), result) in enumerate(zip(parts, fits, strict=True), 1):
        if processes > 1:
            advance(done)
        keys = {"repeat": repeat, "fold": fold}
        with_context, without_context, other_scores, history = result
        ids, other_ids = data.rows["id"].iloc[test], unlabelled[done - 1].rows["id"]
        fold_results.append(
            CrossValidated(
                _score_table(data, ids, with_context, keys),
                pd.DataFrame(keys, index=history.index).join(history),
                _score_table(data, ids, without_context, keys),
                _score_table(data, other_ids, other_scores, keys),
            )
        )
    tables = [pd.concat(group, ignore_index=True) for group in zip(*fold_results, strict=True)]
    return CrossValidated(*tables)


def fit_all(data: Labelled, fit: Fit, seed: int, advance: Advance = silent) -> Fitted:
    """Fit the final model to all labelled paragraphs and the pool, with a seed of its own."""
    examples = Examples.make(data, slice(None), data.texts, data.pool.texts if data.pool else ())
    return fit(examples, _seed(seed, n_fits(data.folds)), advance)


def score_by_definitions(data: Labelled, fit: Fit, seed: int) -> pd.DataFrame:
    """Score every labelled paragraph with a model that is fitted to the topics' definitions only.

    The model has seen none of the paragraphs' articles, so its scores show how well new articles
    are predicted, unless the author of the definitions had read these articles. Paragraphs are
    scored without context, because their headings could have suggested the definitions. `fit` is
    called with no examples and with `seed`.

    Returns
    -------
    Columns id, repeat (0) and one of scores for each topic.
    """
    model = fit(Examples.make(data, slice(0), data.texts.select(slice(0)), ()), seed, silent)
    scores = model.predict_proba(data.texts.without_context)
    return _score_table(data, data.rows["id"], scores, {"repeat": 0})


def score_unfolded(data: Labelled, fit: Fit, seed: int) -> pd.DataFrame:
    """Score the hand-labelled paragraphs in no fold, with a model fitted to the other groups.

    Folds leave out paragraphs whose topic occurs in one group only, because a model fitted without
    this group has no example of the topic. Estimates of shares in a corpus need scores of all
    labelled paragraphs: without these, rare topics would seem even rarer.

    Returns
    -------
    Columns id and one of scores for each topic, not calibrated; after the hand-labelled rows, those
    of paragraphs without a label in articles of no fold. There are no rows if all hand labels are
    in folds, if there are fewer than two folds, or if no other group is left.
    """
    is_folded = data.folds.groupby("id")["fold"].max() >= 0
    unfolded = np.flatnonzero(~is_folded[data.rows["id"]].to_numpy() & data.by_hand)
    train = np.flatnonzero(~np.isin(data.groups, data.groups[unfolded]))
    if n_fits(data.folds) < 2 or not len(unfolded) or not len(train):
        return pd.DataFrame(columns=["id", *data.topics.score_columns])
    others = data.unlabelled.select_fold(ALWAYS_TRAIN)
    examples, texts = _without_leakage(data, train, unfolded, others)
    model = fit(examples, _seed(seed, n_fits(data.folds) + 1), silent)
    scores = _score_table(data, data.rows["id"].iloc[unfolded], model.predict_proba(texts), {})
    if not len(others.rows):
        return scores
    other_scores = _score_table(data, others.rows["id"], model.predict_proba(others.texts), {})
    return pd.concat([scores, other_scores], ignore_index=True)


def _without_leakage(
    data: Labelled, train: Integers, test: Integers, others: Unlabelled
) -> tuple[Examples, Texts]:
    """Training examples, and held-out texts of `test` alone, without leakage between them.

    `train` and `test` are positions of rows. If an article has rows of both, contexts are cut. The
    examples leave out near-duplicates of `others`, the paragraphs without a label that the same
    fold holds out, and pool texts of the articles of `others`.
    """
    duplicates = group_numbers(data.folds, list(data.rows["id"]), "duplicates")
    copied = duplicates[data.rows["id"].isin(others.rows["copy_of"])]
    train = train[~np.isin(duplicates[train], copied)]
    training_texts, texts = data.without_leakage(train, test)
    pool = data.pool.without_leakage(train, test, {*others.rows["article"]}) if data.pool else ()
    return Examples.make(data, train, training_texts, pool), texts


def _score_table(
    data: Labelled, ids: pd.Series, scores: Scores, keys: Mapping[str, int]
) -> pd.DataFrame:
    """Columns id, those of `keys` and one of scores for each topic."""
    table = pd.DataFrame({"id": ids.to_numpy(), **keys})
    return table.join(pd.DataFrame(scores, columns=data.topics.score_columns))


def _score(
    fit: Fit, examples: Examples, held_out: Texts, others: Texts, seed: int, advance: Advance
) -> tuple[Scores, Scores, Scores, pd.DataFrame]:
    """Fit; return scores of `held_out` with and without context, those of `others`, and history."""
    model = fit(examples, seed, advance)
    scores = model.predict_proba(others) if len(others) else np.empty((0, len(model.classes_)))
    return *model.scores(held_out), scores, model.history


def _seed(seed: int, number: int) -> int:
    """Seed of the fit with this number, which does not depend on other fits."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
