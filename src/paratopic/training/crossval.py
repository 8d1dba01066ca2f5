"""Out-of-fold scores, and the final model that is fitted to all labels, for any kind of model.

How a model is fitted is for `baseline` and `transformer`, of which only the modules of the kind in
question are imported; which fold a paragraph is in is for `corpus.folds`.
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
from paratopic.corpus.labelled import Labelled, Unlabelled, groups_of, make_pool, read_labelled
from paratopic.corpus.table import read_paragraphs, read_parquet, texts_of, with_passages
from paratopic.inference.modes import Integers, Scores
from paratopic.project.files import Paths
from paratopic.project.kinds import KINDS
from paratopic.project.params import Params
from paratopic.project.texts import Texts, numbered
from paratopic.training.examples import (
    Advance,
    Examples,
    Fit,
    Fitted,
    examples_of,
    silent,
    topics_are_rare,
)

# With fewer rows, to start processes takes longer than they save.
FEW_ROWS = 500


def fitter(kind: str, params: Params) -> Fit:
    """Bind the topics and a kind's section of the params to its function `fit`."""
    fit_model, section = resolve_name(KINDS[kind].fit), params.section(kind)
    return lambda examples, seed, advance: fit_model(
        examples, params.topics, section, seed, advance
    )


def labelled_for(kind: str, paths: Paths, params: Params) -> Labelled:
    """Read the labelled paragraphs of a project, their folds, and its pool (`with_pool`)."""
    data, paragraphs = read_labelled(paths, params.topics), read_paragraphs(paths.paragraphs)
    rows = with_passages(data.rows, paragraphs)
    data = replace(data, rows=rows, folds=read_parquet(paths.folds))
    return with_pool(data, paragraphs, kind, params)


def with_pool(data: Labelled, paragraphs: pd.DataFrame, kind: str, params: Params) -> Labelled:
    """Draw those paragraphs that have no label, too, if the kind of model learns from them.

    None are drawn where topics are rare: most paragraphs have none of them then, and teach no more
    than chance would.
    """
    learns = KINDS[kind].learns_from_unlabelled
    if not learns or topics_are_rare(data.hand.targets, params.topics):
        return data
    most = params.section(kind).unlabelled
    return replace(data, pool=make_pool(paragraphs, data.rows, most, params.seed))


def with_unlabelled(data: Labelled, paths: Paths) -> Labelled:
    """Add the paragraphs without a label that the folds of the project hold out."""
    dealt = read_parquet(paths.dealt)
    texts = numbered(texts_of(read_paragraphs(paths.paragraphs), dealt["id"]))
    return replace(data, unlabelled=Unlabelled(dealt, texts))


def processes_for(kind: str, n_rows: int) -> int:
    """Number of processes, on one thread each, that fit a model to the folds of n rows soonest."""
    return 1 if KINDS[kind].is_parallel or n_rows < FEW_ROWS else int(cpu_count())


def n_fits(folds: pd.DataFrame) -> int:
    """Number of fits that `cross_validate` needs: one for each fold of each repeat."""
    return len(folds[folds["fold"] >= 0][["repeat", "fold"]].drop_duplicates())


class CrossValidated(NamedTuple):
    """Out-of-fold scores, and what became of the fits that gave them.

    Attributes
    ----------
    scores
        Columns id, repeat, fold and one of scores for each topic; no rows if nothing is held out.
    history
        Histories of all fits: columns repeat, fold and those of `Fitted.history`.
    without_context
        As `scores`, of the same paragraphs without what stands around them.
    unlabelled
        As `scores`, of the paragraphs without a label that the folds hold out.
    """

    scores: pd.DataFrame
    history: pd.DataFrame
    without_context: pd.DataFrame
    unlabelled: pd.DataFrame


def cross_validate(
    data: Labelled, fit: Fit, seed: int, advance: Advance = silent, processes: int = 1
) -> CrossValidated:
    """Score each held-out paragraph with a model that was fitted without its fold.

    Neither reads anything of the other: see `Labelled.without_leakage`.

    Parameters
    ----------
    seed
        Seed from which each fit gets a seed of its own.
    advance
        Called with the number of fits done so far; reports to nobody by default.
    processes
        Number of processes, each of which does one fit at a time; 1 stays in this process. The
        results do not depend on it.
    """
    parts = list(iterate_folds(data.folds, list(data.rows["id"])))
    if not parts:
        empty = pd.DataFrame(columns=["id", "repeat", "fold", *data.topics.scores])
        return CrossValidated(empty, empty[["repeat", "fold"]], empty, empty)
    processes = min(processes, len(parts))
    unlabelled = [data.unlabelled.of(fold, repeat) for repeat, fold, _, _ in parts]
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
    tables = []
    for done, ((repeat, fold, _, test), fitted) in enumerate(zip(parts, fits, strict=True), 1):
        if processes > 1:
            advance(done)
        where = {"repeat": repeat, "fold": fold}
        in_context, without, other_scores, history = fitted
        ids, other_ids = data.rows["id"].iloc[test], unlabelled[done - 1].rows["id"]
        tables.append(
            (
                _table(data, ids, in_context, where),
                pd.DataFrame(where, index=history.index).join(history),
                _table(data, ids, without, where),
                _table(data, other_ids, other_scores, where),
            )
        )
    return CrossValidated(
        *(pd.concat(each, ignore_index=True) for each in zip(*tables, strict=True))
    )


def fit_all(data: Labelled, fit: Fit, seed: int, advance: Advance = silent) -> Fitted:
    """Fit the final model to all labelled paragraphs; parameters as in `cross_validate`."""
    examples = examples_of(data, slice(None), data.texts, data.pool.texts if data.pool else ())
    return fit(examples, _seed(seed, n_fits(data.folds)), advance)


def score_by_definitions(data: Labelled, fit: Fit, seed: int) -> pd.DataFrame:
    """Score every labelled paragraph with a model that knows the topics' definitions alone.

    It has learnt nothing of the paragraphs' articles, so its scores tell about new articles, unless
    whoever wrote the definitions had read these. They are read alone, as paragraphs are that are
    held out beside others of their article: headings could have been in the mind of whoever wrote
    the definitions. Parameters as in `cross_validate`.

    Returns
    -------
    Columns id, repeat (0) and one of scores for each topic.
    """
    model = fit(examples_of(data, slice(0), data.texts.of(slice(0)), ()), seed, silent)
    scores = model.predict_proba(data.texts.without_context)
    return _table(data, data.rows["id"], scores, {"repeat": 0})


def score_unfolded(data: Labelled, fit: Fit, seed: int) -> pd.DataFrame:
    """Score the paragraphs that are in no fold, with a model that has learnt of none of them.

    Each of their topics is in one group alone, so that nothing would be left to learn from. Shares
    of topics in a corpus need scores of all labelled paragraphs: without these, topics that are
    rare would seem to be still rarer. Parameters as in `cross_validate`.

    Returns
    -------
    Columns id and one of scores for each topic, also of the paragraphs without a label in these
    groups; no rows where all are in folds, or where a share was held out once.
    """
    held_out = data.folds.groupby("id")["fold"].max() >= 0
    unfolded = np.flatnonzero(~held_out[data.rows["id"]].to_numpy() & data.by_hand)
    train = np.flatnonzero(~np.isin(data.groups, data.groups[unfolded]))
    if n_fits(data.folds) < 2 or not len(unfolded) or not len(train):
        return pd.DataFrame(columns=["id", *data.topics.scores])
    others = data.unlabelled.of(ALWAYS_TRAIN)
    examples, texts = _without_leakage(data, train, unfolded, others)
    model = fit(examples, _seed(seed, n_fits(data.folds) + 1), silent)
    scores = _table(data, data.rows["id"].iloc[unfolded], model.predict_proba(texts), {})
    if not len(others.rows):
        return scores
    more = _table(data, others.rows["id"], model.predict_proba(others.texts), {})
    return pd.concat([scores, more], ignore_index=True)


def _without_leakage(
    data: Labelled, train: Integers, held_out: Integers, others: Unlabelled
) -> tuple[Examples, Texts]:
    """Rows to learn from and texts that are held out, neither of which tells of the other.

    Nor do they tell of the texts without a label that are held out beside them.
    """
    duplicates = groups_of(data.folds, list(data.rows["id"]), "duplicates")
    copied = duplicates[data.rows["id"].isin(others.rows["copy_of"])]
    train = train[~np.isin(duplicates[train], copied)]
    to_learn, texts = data.without_leakage(train, held_out)
    pool = (
        data.pool.without_leakage(train, held_out, {*others.rows["article"]}) if data.pool else ()
    )
    return examples_of(data, train, to_learn, pool), texts


def _table(
    data: Labelled, ids: pd.Series, scores: Scores, where: Mapping[str, int]
) -> pd.DataFrame:
    """Columns id, those of `where` and one of scores for each topic, for these paragraphs."""
    table = pd.DataFrame({"id": ids.to_numpy(), **where})
    return table.join(pd.DataFrame(scores, columns=data.topics.scores))


def _score(
    fit: Fit, examples: Examples, held_out: Texts, others: Texts, seed: int, advance: Advance
) -> tuple[Scores, Scores, Scores, pd.DataFrame]:
    """Scores (n, k) of held-out texts in context and alone, and of others in context.

    And the history of the fit.
    """
    model = fit(examples, seed, advance)
    scores = model.predict_proba(others) if len(others) else np.empty((0, len(model.classes_)))
    return *model.scores(held_out), scores, model.history


def _seed(seed: int, number: int) -> int:
    """Seed of the fit with this number, whichever fits are done before it."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
