"""The models, a majority-class dummy and weak sources on the same folds, and the champion.

How far a weak source is trusted, topic by topic, is for `labels.weak`. Here its answers are
measured as a model's, so that one sees when the model has caught up with its teacher. No file is
written here, and nothing is plotted: `figures` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.folds import iterate_folds
from paratopic.corpus.labelled import Labelled, weak_votes_on
from paratopic.corpus.table import targets_of, with_columns
from paratopic.evaluation.estimates import Estimate, write_p
from paratopic.evaluation.intervals import Difference, difference, measure, share_estimates
from paratopic.evaluation.metrics import MetricKey, Proportion, share_of_macro_f1
from paratopic.evaluation.outcomes import Outcomes, answer_outcomes, cautions, outcomes
from paratopic.project.metrics import METRICS
from paratopic.project.params import Compare, Evaluate
from paratopic.project.topics import Topics

DUMMY = "dummy"
# A weak source is measured from so many paragraphs on.
LEAST = 10


class Pair(NamedTuple):
    """Two models whose difference is measured: `model` minus `simpler`."""

    model: str
    simpler: str


@dataclass(frozen=True)
class Comparison:
    """Models measured on the same folds; only the champion is known where nothing was held out.

    Parameters
    ----------
    models
        Name → metric → estimate; the simplest model comes first.
    differences
        Differences in the macro-F1 of the answers, out-of-fold.
    leads
        Differences that the champion is chosen by: those, or the ones of models that know the
        definitions alone.
    cautions
        What readers of the figures have to know where labels are few.
    sources
        Name of a weak source → it and the champion, from `beside_model`.
    """

    champion: str
    n: int
    models: dict[str, dict[str, Estimate]]
    differences: dict[Pair, Difference]
    leads: dict[Pair, Difference]
    reason: str
    cautions: Sequence[str] = ()
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def compare(
    data: Labelled,
    scores: Mapping[str, pd.DataFrame],
    by_definitions: Mapping[str, pd.DataFrame],
    settings: Evaluate,
    choice: Compare,
    seed: int,
) -> Comparison:
    """Measure the models and the dummy, and choose the champion.

    Parameters
    ----------
    scores
        Name of a trained model → its scores (see `outcomes.outcomes`), the simplest model first.
    by_definitions
        Name of a trained model → scores of all rows by the same model before it saw any label,
        which the champion is chosen by. Empty where out-of-fold scores are to decide: they speak
        of new articles only if whole articles were held out.
    """
    tables = {DUMMY: majority_scores(data), **scores}
    answered = {name: answer_outcomes(data, table) for name, table in tables.items()}
    # The dummy answers what is most probable, however improbable it is.
    dummy = answered[DUMMY]
    answered[DUMMY] = replace(dummy, predicted=dummy.candidates)
    models = {}
    for name, table in tables.items():
        wish = settings.confidence, settings.n_draws, seed
        measured = measure(outcomes(data, table), answered[name], *wish)
        models[name] = {each.key: measured[each.key] for each in METRICS if each.key in measured}
    # What is known beforehand has no interval.
    models[DUMMY] = {metric: Estimate(e.value) for metric, e in models[DUMMY].items()}
    differences = _differences(answered, settings, choice, seed)
    unlabelled = {name: answer_outcomes(data, table) for name, table in by_definitions.items()}
    leads = _differences(unlabelled, settings, choice, seed) if unlabelled else differences
    champion = choose_champion(list(scores), leads)
    reason = _reason(champion, list(scores), leads, bool(unlabelled))
    return Comparison(
        champion,
        len(answered[DUMMY].true),
        models,
        differences,
        leads,
        reason,
        cautions(outcomes(data, tables[DUMMY]), data.topics.names),
        beside_model(data, scores[champion], settings, choice.n_permutations, seed),
    )


def _differences(
    of_models: Mapping[str, Outcomes], settings: Evaluate, choice: Compare, seed: int
) -> dict[Pair, Difference]:
    """Difference of each model to each simpler one."""
    level, permutations = settings.confidence, choice.n_permutations
    return {
        Pair(name, simpler): difference(two, one, level, permutations, seed)
        for (simpler, one), (name, two) in combinations(of_models.items(), 2)
    }


def unmeasured(models: Sequence[str]) -> Comparison:
    """The comparison where nothing was held out: the most complex model is champion.

    An encoder is known to understand a topic's description without labels; that words of the
    description occur in a paragraph is chance.

    Parameters
    ----------
    models
        Names of the trained models, the simplest one first.
    """
    reason = "no other model was trained"
    if len(models) > 1:
        reason = "nothing was measured, but an encoder understands definitions without labels"
    return Comparison(models[-1], 0, {}, {}, {}, reason)


def majority_scores(data: Labelled) -> pd.DataFrame:
    """Out-of-fold scores of the dummy: the topics' shares in each training part.

    Labels that were drawn count by their weights, as in figures: a draw by group has other shares
    than the corpus. The most common topic is the most probable one, which is predicted in mode
    single. In mode multi the thresholds of 0 predict all topics, which of all constant predictions
    has the highest macro-F1.
    """
    topics, targets, ids = data.topics, data.targets, data.rows["id"].to_numpy()
    thresholds = dict.fromkeys(topics.thresholds, 0.0)
    weights = np.ones(len(ids)) if data.weights is None else data.weights
    parts = []
    for repeat, fold, train, test in iterate_folds(data.folds, list(ids)):
        weighs = weights[train] if weights[train].any() else None
        means = np.average(targets[train], axis=0, weights=weighs)
        shares = dict(zip(topics.scores, means, strict=True))
        held_out = {"id": ids[test], "repeat": repeat, "fold": fold}
        parts.append(pd.DataFrame(held_out | shares | thresholds))
    return pd.concat(parts, ignore_index=True)


def choose_champion(models: Sequence[str], leads: Mapping[Pair, Difference]) -> str:
    """Choose the model whose macro-F1 is expected to be highest, of equals the simplest.

    A model has to be chosen today, and a wrong choice costs as much either way: so the expected
    lead decides, not its significance.

    Parameters
    ----------
    models
        Names of the trained models, the simplest one first.
    """
    champion, *complex_models = models
    for name in complex_models:
        if leads[Pair(name, champion)].value > 0:
            champion = name
    return champion


def _reason(
    champion: str, models: Sequence[str], leads: Mapping[Pair, Difference], by_definitions: bool
) -> str:
    """Why the champion is champion."""
    if len(models) < 2:
        return "no other model was trained"
    evidence = "with the definitions and no labels," if by_definitions else "out-of-fold,"
    parts = []
    for pair, lead in leads.items():
        if champion not in pair or DUMMY in pair:
            continue
        other = pair.simpler if pair.model == champion else pair.model
        higher = (lead.value > 0) == (pair.model == champion)
        parts.append(
            f"{evidence} the macro-F1 of its answers is {abs(lead.value):.3f} "
            f"{'higher' if higher else 'lower'} than the {other}'s ({write_p(lead.p)})"
        )
    return "; ".join(parts) + by_definitions * (
        ". This decides, because the labels are from too few articles to show which model is "
        "better on new ones. It is no independent evidence if the author of the definitions had "
        "read the labelled articles"
    )


def as_json(
    comparison: Comparison,
    topics: Topics,
    split: Mapping[str, Any],
    annotators: Mapping[str, Any] | None,
    alpha: float,
) -> dict[str, Any]:
    """Content of comparison.json.

    Parameters
    ----------
    split
        Content of split.json.
    annotators
        Agreement between annotators, from prepare.json; None if nothing was labelled twice.
    alpha
        Level at which differences are significant, such as 0.05.
    """
    measured = asdict(comparison)
    content: dict[str, Any] = {"mode": topics.mode, "n": comparison.n}
    if comparison.n:
        content["labels"] = "hand"
        content |= {name: split[name] for name in ("split_unit", "n_folds", "n_repeats")}
    content["split_unit"] = split["split_unit"]
    content["notes"] = [*split["messages"], *comparison.cautions]
    content["models"] = measured["models"]
    for name in ("differences", "leads"):
        content[name] = {
            " - ".join(pair): lead | {"significant": lead["p"] <= alpha}
            for pair, lead in measured[name].items()
        }
    content |= {"champion": comparison.champion, "reason": comparison.reason}
    content["annotators"] = annotators
    return content | ({"sources": measured["sources"]} if comparison.sources else {})


def beside_model(
    data: Labelled, scores: pd.DataFrame, settings: Evaluate, n_permutations: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Measure each weak source that answered for at least `LEAST` evaluated paragraphs.

    Parameters
    ----------
    scores
        Out-of-fold scores of the model (see `outcomes.outcomes`).

    Returns
    -------
    Name of a source → n, the number of paragraphs with a hand label, out-of-fold scores and an
    answer of the source; source and model, the macro-F1 of the answers of each; and lead, their
    `Difference`.
    """
    topics, part, too_few = data.topics, data.measured(scores), outcomes(data, scores).too_few

    def macro_f1(answers: Outcomes) -> Estimate:
        share: dict[MetricKey, Proportion] = {"macro_f1": share_of_macro_f1(answers)}
        wish = settings.confidence, settings.n_draws, seed
        estimate = share_estimates(answers, share, *wish)["macro_f1"]
        return Estimate(estimate.value) if too_few else estimate

    measured = {}
    for name, votes in weak_votes_on(part.rows, part.weak).groupby("source"):
        has = targets_of(votes["given"].map(topics.counted), topics.names)
        given = pd.DataFrame(has, columns=topics.scores, dtype=np.float64)
        given = given.groupby(part.rows["id"].iloc[votes["row"]].to_numpy()).max()
        if len(given) < LEAST:
            continue
        of_model = scores[scores["id"].isin(given.index)]
        # The same in each repeat; no source was shown a label of the paragraph's own article.
        table = given.loc[of_model["id"]]
        table = with_columns(table, topics.thresholds, np.full(table.shape, 0.5))
        table = table.assign(id=table.index, repeat=of_model["repeat"].to_numpy())
        model = answer_outcomes(data, of_model)
        source = replace(answer_outcomes(data, table), train_share=1.0, topic_shares=None)
        lead = difference(model, source, settings.confidence, n_permutations, seed)
        figures = {"source": macro_f1(source), "model": macro_f1(model), "lead": lead}
        measured[str(name)] = {"n": len(given)} | figures
    return measured
