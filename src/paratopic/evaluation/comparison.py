"""Comparison of the models, a majority-class dummy and weak sources on the same folds.

The comparison chooses the champion. The votes of a weak source are measured like a model's
predictions, which shows whether the model is as good as its weak labels. `labels.weak` estimates
the accuracy of a weak source for each topic. This module writes no file and plots nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from pydantic import Field

from paratopic.corpus.folds import ALWAYS_TRAIN, Split, iterate_folds
from paratopic.corpus.labelled import Labelled, weak_votes_on
from paratopic.corpus.table import targets_of, with_columns
from paratopic.evaluation.intervals import (
    Difference,
    Estimate,
    difference,
    measure,
    proportion_estimates,
    write_p,
)
from paratopic.evaluation.metrics import MetricKey, Proportion, macro_f1_proportion
from paratopic.evaluation.outcomes import Outcomes, cautions, outcomes, prediction_outcomes
from paratopic.labels.agreement import Agreement
from paratopic.labels.summary import Prepared, describe_sources, sources_that_label
from paratopic.project.metric_names import Metric, metrics_in
from paratopic.project.params import Compare, Evaluate
from paratopic.project.reports import Report

DUMMY = "dummy"
# A weak source with votes on fewer evaluated paragraphs is not measured.
LEAST_VOTES = 10


@dataclass(frozen=True)
class SourceComparison:
    """A weak source and the champion on the n paragraphs with a weak vote and a hand label.

    `source` is the macro-F1 of the source's votes, `model` that of the champion's predictions, and
    `lead` the second minus the first.
    """

    n: int
    source: Estimate
    model: Estimate
    lead: Difference


@dataclass(frozen=True)
class Lead(Difference):
    """A difference of two models, and whether it is significant."""

    significant: bool


class Comparison(Report):
    """Content of comparison.json: models on the same folds.

    Only the champion is known if nothing was held out.

    Parameters
    ----------
    n
        Number of paragraphs that were measured; 0 if nothing was held out.
    models
        Name → metric → estimate; the simplest model comes first.
    topics
        Name of a model → topic → precision, recall, f1; not in the file, as metrics.json has them.
    differences
        Names of two models, "transformer - baseline" → the difference in the macro-F1 of their
        out-of-fold predictions.
    leads
        Differences by which the champion is chosen: `differences`, or those of models that were
        trained on the definitions only.
    annotators
        Agreement of the annotators; None, the default, if no paragraph has votes of two.
    sources
        Name of a weak source → its comparison with the champion.
    """

    mode: str
    n: int
    labels: str = ""
    split_unit: str = ""
    n_folds: int = 0
    n_repeats: int = 0
    notes: tuple[str, ...]
    models: dict[str, dict[str, Estimate]]
    topics: dict[str, dict[str, dict[str, Estimate]]] = Field(default={}, exclude=True)
    differences: dict[str, Lead]
    leads: dict[str, Lead]
    champion: str
    reason: str
    annotators: Agreement | None = None
    sources: dict[str, SourceComparison] = {}

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that were measured; models are compared by the first."""
        keys = set[str]().union(*self.models.values())
        return [metric for key, metric in metrics_in(self.mode).items() if key in keys]


def compare(
    data: Labelled,
    scores: Mapping[str, pd.DataFrame],
    by_definitions: Mapping[str, pd.DataFrame],
    settings: Evaluate,
    choice: Compare,
    seed: int,
) -> Comparison:
    """Measure the models, the dummy and weak sources, and choose the champion (`choose_champion`).

    The dummy is the first of the models and in the differences, but cannot be champion. The result
    has no split and no agreement of annotators yet (`with_basis`). `data` is from `read_sampled`.

    Parameters
    ----------
    scores
        Name of each trained model → its scores (see `outcomes.outcomes`), the simplest model first.
    by_definitions
        Name of each model → scores of all rows by the same model when it was trained on the
        definitions only; these decide the champion. If empty, the out-of-fold scores decide, which
        are valid for new articles only if whole articles were held out.
    """
    tables = {DUMMY: majority_scores(data), **scores}
    predictions = {name: prediction_outcomes(data, table) for name, table in tables.items()}
    # The dummy predicts the most probable outcome, without a threshold.
    dummy = predictions[DUMMY]
    predictions[DUMMY] = replace(dummy, predicted=dummy.candidates)
    models: dict[str, dict[str, Estimate]] = {}
    by_topic: dict[str, dict[str, dict[str, Estimate]]] = {}
    for name, table in tables.items():
        resampling = settings.confidence, settings.n_draws, seed
        measured = measure(outcomes(data, table), predictions[name], *resampling)
        keys = [key for key in metrics_in(data.topics.mode) if key in measured]
        models[name] = {key: measured[key] for key in keys}
        by_topic[name] = {}
        for k, topic in enumerate(data.topics.names):
            by_topic[name][topic] = {key: measured[key, k] for key in ("precision", "recall", "f1")}
    # The dummy is a fixed reference, so its figures have no interval.
    models[DUMMY] = {metric: Estimate(e.value) for metric, e in models[DUMMY].items()}
    differences = _differences(predictions, settings, choice, seed)
    informed = {name: prediction_outcomes(data, table) for name, table in by_definitions.items()}
    leads = _differences(informed, settings, choice, seed) if informed else differences
    champion = choose_champion(list(scores), leads)
    reason = _reason(champion, list(scores), leads, bool(informed))
    comparison = Comparison(
        mode=data.topics.mode,
        n=len(dummy.true),
        notes=tuple(cautions(outcomes(data, tables[DUMMY]), data.topics.names)),
        models=models,
        topics=by_topic,
        differences=differences,
        leads=leads,
        champion=champion,
        reason=reason,
    )
    sources = compare_with_sources(data, scores[champion], settings, choice.n_permutations, seed)
    return comparison.model_copy(update={"sources": sources}) if sources else comparison


def _differences(
    outcomes_by_model: Mapping[str, Outcomes], settings: Evaluate, choice: Compare, seed: int
) -> dict[str, Lead]:
    """Test the macro-F1 of each model and each simpler one before it; keys are "name - simpler".

    A lead is a `difference`, which is significant if p is at most 1 minus the confidence.
    """
    level, leads = settings.confidence, {}
    for (simpler, one), (name, other) in combinations(outcomes_by_model.items(), 2):
        lead = difference(other, one, level, choice.n_permutations, seed)
        leads[f"{name} - {simpler}"] = Lead(**asdict(lead), significant=lead.p <= 1 - level)
    return leads


def unmeasured_comparison(mode: str, models: Sequence[str]) -> Comparison:
    """A comparison without figures, if nothing was held out; the last of `models` is the champion.

    `models` begin with the simplest. An encoder represents the meaning of a definition without
    labels, while the TF-IDF model depends on words of it that are in a paragraph by chance.
    """
    reason = "no other model was trained"
    if len(models) > 1:
        reason = "nothing was measured, but an encoder understands definitions without labels"
    return Comparison(
        mode=mode,
        n=0,
        notes=(),
        models={},
        differences={},
        leads={},
        champion=models[-1],
        reason=reason,
    )


def majority_scores(data: Labelled) -> pd.DataFrame:
    """Out-of-fold scores of the dummy: the weighted shares of the topics in each training part.

    Columns are id, repeat, fold, and for each topic a score and a threshold of 0. If nothing is
    held out, there is one row for each paragraph, with the shares of all, repeat 0 and fold
    `ALWAYS_TRAIN`. In mode single, the most common topic is predicted, and in mode multi all topics
    are, the constant prediction with the highest macro-F1.
    """
    topics, targets, ids = data.topics, data.targets, data.rows["id"].to_numpy()
    thresholds = dict.fromkeys(topics.threshold_columns, 0.0)
    weights = np.ones(len(ids)) if data.weights is None else data.weights
    parts = []
    all_rows = np.arange(len(ids))
    none_held_out = [(0, ALWAYS_TRAIN, all_rows, all_rows)]
    for repeat, fold, train, test in [*iterate_folds(data.folds, list(ids))] or none_held_out:
        train_weights = weights[train] if weights[train].any() else None
        means = np.average(targets[train], axis=0, weights=train_weights)
        shares = dict(zip(topics.score_columns, means, strict=True))
        held_out = {"id": ids[test], "repeat": repeat, "fold": fold}
        parts.append(pd.DataFrame(held_out | shares | thresholds))
    return pd.concat(parts, ignore_index=True)


def choose_champion(models: Sequence[str], leads: Mapping[str, Difference]) -> str:
    """Choose the model with the highest expected macro-F1, and of equals the first, the simplest.

    `leads` has the macro-F1 of each model minus that of each earlier one, with the key
    "later - earlier". Their significance does not count, because a wrong choice costs as much for
    one model as for the other.
    """
    champion, *complex_models = models
    for name in complex_models:
        if leads[f"{name} - {champion}"].value > 0:
            champion = name
    return champion


def _reason(
    champion: str, models: Sequence[str], leads: Mapping[str, Difference], by_definitions: bool
) -> str:
    """Why the champion was chosen, without a full stop: its lead over each other model, with p.

    `leads`, in macro-F1, has each pair of `models` as "one - other", in either order. If they are
    of models trained on definitions only (`by_definitions`), the words say so, and that they decide
    because labels are from too few articles. With one model, they say that there is no other.
    """
    if len(models) < 2:
        return "no other model was trained"
    evidence = "with the definitions and no labels, " if by_definitions else ""
    parts = []
    for other in models:
        for names, sign in ((f"{champion} - {other}", 1), (f"{other} - {champion}", -1)):
            if names in leads:
                lead, p = sign * leads[names].value, leads[names].p
                parts.append(
                    f"{evidence}the macro-F1 of its answers is {abs(lead):.3f} "
                    f"{'higher' if lead >= 0 else 'lower'} than the {other}'s ({write_p(p)})"
                )
    reason = "; ".join(parts)
    if by_definitions:
        reason += (
            ". This decides, because the labels are from too few articles to show which model is "
            "better on new ones. It is no independent evidence if the author of the definitions "
            "had read the labelled articles"
        )
    return reason


def with_basis(comparison: Comparison, split: Split, annotators: Agreement | None) -> Comparison:
    """Copy a comparison; add `annotators`, the split unit and its messages, before other notes.

    The numbers of folds and repeats, and "hand" as `labels`, are added if anything was measured.
    """
    basis: dict[str, object] = {
        "split_unit": split.split_unit,
        "notes": (*split.messages, *comparison.notes),
        "annotators": annotators,
    }
    if comparison.n:
        basis |= {"labels": "hand", "n_folds": split.n_folds, "n_repeats": split.n_repeats}
    return comparison.model_copy(update=basis)


def describe_weak(prepared: Prepared, comparison: Comparison) -> list[str]:
    """Lines on the accuracy of each weak source, and on the macro-F1 of each and the champion's."""
    return describe_sources(sources_that_label(prepared)) + [
        f"macro-F1 on the {pair.n} paragraphs that {name} and people answered: "
        f"{name} {pair.source}, {comparison.champion} {pair.model}, {write_p(pair.lead.p)}"
        for name, pair in comparison.sources.items()
    ]


def compare_with_sources(
    data: Labelled, scores: pd.DataFrame, settings: Evaluate, n_permutations: int, seed: int
) -> dict[str, SourceComparison]:
    """Name of each weak source → its macro-F1 and a model's, on evaluated paragraphs with a vote.

    `scores` are the model's, as in `outcomes.outcomes`. Mode single treats "none of the topics" as
    a topic. Macro-F1 has no interval if the evaluated labels are too few (`Outcomes.too_few`).
    Sources with votes on fewer than `LEAST_VOTES` evaluated paragraphs are left out.
    """
    topics, part, too_few = data.topics, data.measured(scores), outcomes(data, scores).too_few

    def macro_f1(predictions: Outcomes) -> Estimate:
        proportions: dict[MetricKey, Proportion] = {"macro_f1": macro_f1_proportion(predictions)}
        resampling = settings.confidence, settings.n_draws, seed
        estimate = proportion_estimates(predictions, proportions, *resampling)["macro_f1"]
        return Estimate(estimate.value) if too_few else estimate

    measured = {}
    for name, votes in weak_votes_on(part.rows, part.weak).groupby("source"):
        targets = targets_of(votes["given"].map(topics.counted), topics.names)
        by_id = pd.DataFrame(targets, columns=topics.score_columns, dtype=np.float64)
        by_id = by_id.groupby(part.rows["id"].iloc[votes["row"]].to_numpy()).max()
        if len(by_id) < LEAST_VOTES:
            continue
        model_scores = scores[scores["id"].isin(by_id.index)]
        # A source has the same votes in all repeats. None was shown labels of the same article.
        table = by_id.loc[model_scores["id"]]
        table = with_columns(table, topics.threshold_columns, np.full(table.shape, 0.5))
        table = table.assign(id=table.index, repeat=model_scores["repeat"].to_numpy())
        model = prediction_outcomes(data, model_scores)
        source = replace(prediction_outcomes(data, table), train_share=1.0, topic_shares=None)
        lead = difference(model, source, settings.confidence, n_permutations, seed)
        measured[str(name)] = SourceComparison(len(by_id), macro_f1(source), macro_f1(model), lead)
    return measured
