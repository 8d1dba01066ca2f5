"""The models, a majority-class dummy and weak sources on the same folds, and the champion.

How far a weak source is trusted, topic by topic, is for `labels.weak`. Here its answers are
measured as a model's, so that one sees when the model has caught up with its teacher. No file is
written here, and nothing is plotted: `figures` does that.
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
    share_estimates,
    write_p,
)
from paratopic.evaluation.metrics import MetricKey, Proportion, share_of_macro_f1
from paratopic.evaluation.outcomes import Outcomes, answer_outcomes, cautions, outcomes
from paratopic.labels.agreement import Agreement
from paratopic.labels.summary import Prepared, describe_sources, sources_that_label
from paratopic.project.metric_names import Metric, metrics_in
from paratopic.project.params import Compare, Evaluate
from paratopic.project.reports import Report

DUMMY = "dummy"
# A weak source is measured from so many paragraphs on.
LEAST = 10


@dataclass(frozen=True)
class SourceComparison:
    """A weak source and the champion on the paragraphs that the source and people answered.

    Parameters
    ----------
    source, model
        Macro-F1 of the answers of each.
    lead
        Difference of the two, the model's first.
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

    Only the champion is known where nothing was held out.

    Parameters
    ----------
    n
        Number of paragraphs that were measured; 0 where nothing was held out.
    models
        Name → metric → estimate; the simplest model comes first.
    topics
        Name of a model → topic → precision, recall, f1; not in the file, as metrics.json has them.
    differences
        Names of two models, "transformer - baseline" → the difference in the macro-F1 of their
        answers, out-of-fold.
    leads
        Differences that the champion is chosen by: those, or the ones of models that know the
        definitions alone.
    annotators
        How far they agree; None, the default, if nothing was labelled twice.
    sources
        Name of a weak source → it and the champion.
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
        known = set[str]().union(*self.models.values())
        return [metric for key, metric in metrics_in(self.mode).items() if key in known]


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
    models, by_topic = {}, {}
    for name, table in tables.items():
        wish = settings.confidence, settings.n_draws, seed
        measured = measure(outcomes(data, table), answered[name], *wish)
        known = (key for key in metrics_in(data.topics.mode) if key in measured)
        models[name] = {key: measured[key] for key in known}
        by_topic[name] = {
            topic: {key: measured[key, k] for key in ("precision", "recall", "f1")}
            for k, topic in enumerate(data.topics.names)
        }
    # What is known beforehand has no interval.
    models[DUMMY] = {metric: Estimate(e.value) for metric, e in models[DUMMY].items()}
    differences = _differences(answered, settings, choice, seed)
    unlabelled = {name: answer_outcomes(data, table) for name, table in by_definitions.items()}
    leads = _differences(unlabelled, settings, choice, seed) if unlabelled else differences
    champion = choose_champion(list(scores), leads)
    reason = _reason(champion, list(scores), leads, bool(unlabelled))
    comparison = Comparison(
        mode=data.topics.mode,
        n=len(answered[DUMMY].true),
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
    of_models: Mapping[str, Outcomes], settings: Evaluate, choice: Compare, seed: int
) -> dict[str, Lead]:
    """Difference of each model to each simpler one, as in `Comparison.differences`."""
    level, leads = settings.confidence, {}
    for (simpler, one), (name, two) in combinations(of_models.items(), 2):
        lead = difference(two, one, level, choice.n_permutations, seed)
        leads[f"{name} - {simpler}"] = Lead(**asdict(lead), significant=lead.p <= 1 - level)
    return leads


def unmeasured(mode: str, models: Sequence[str]) -> Comparison:
    """The comparison where nothing was held out: the last model, the most complex, is champion.

    An encoder is known to understand a topic's description without labels; that words of the
    description occur in a paragraph is chance.
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
    """Out-of-fold scores of the dummy: the topics' shares in each training part, or, where no fold
    holds any row out, in all rows.

    Labels that were drawn count by their weights, as in figures: a draw by group has other shares
    than the corpus. The most common topic is the most probable one, which is predicted in mode
    single. In mode multi the thresholds of 0 predict all topics, which of all constant predictions
    has the highest macro-F1.
    """
    topics, targets, ids = data.topics, data.targets, data.rows["id"].to_numpy()
    thresholds = dict.fromkeys(topics.thresholds, 0.0)
    weights = np.ones(len(ids)) if data.weights is None else data.weights
    parts = []
    every = np.arange(len(ids))
    none_held_out = [(0, ALWAYS_TRAIN, every, every)]
    for repeat, fold, train, test in [*iterate_folds(data.folds, list(ids))] or none_held_out:
        weighs = weights[train] if weights[train].any() else None
        means = np.average(targets[train], axis=0, weights=weighs)
        shares = dict(zip(topics.scores, means, strict=True))
        held_out = {"id": ids[test], "repeat": repeat, "fold": fold}
        parts.append(pd.DataFrame(held_out | shares | thresholds))
    return pd.concat(parts, ignore_index=True)


def choose_champion(models: Sequence[str], leads: Mapping[str, Difference]) -> str:
    """Choose the model whose macro-F1 is expected to be highest, of equals the first, the simplest.

    A model has to be chosen today, and a wrong choice costs as much either way: so the expected
    lead decides (`Comparison.leads`), not its significance.
    """
    champion, *complex_models = models
    for name in complex_models:
        if leads[f"{name} - {champion}"].value > 0:
            champion = name
    return champion


def _reason(
    champion: str, models: Sequence[str], leads: Mapping[str, Difference], by_definitions: bool
) -> str:
    """Why the champion is champion."""
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
    return "; ".join(parts) + by_definitions * (
        ". This decides, because the labels are from too few articles to show which model is "
        "better on new ones. It is no independent evidence if the author of the definitions had "
        "read the labelled articles"
    )


def with_basis(comparison: Comparison, split: Split, annotators: Agreement | None) -> Comparison:
    """Add how paragraphs were held out, and how far annotators agree."""
    notes = *split.messages, *comparison.notes
    basis: dict[str, object] = {
        "split_unit": split.split_unit,
        "notes": notes,
        "annotators": annotators,
    }
    if comparison.n:
        basis |= {"labels": "hand", "n_folds": split.n_folds, "n_repeats": split.n_repeats}
    return comparison.model_copy(update=basis)


def describe_weak(prepared: Prepared, comparison: Comparison) -> list[str]:
    """Say what weak sources are worth, and how good they are beside the champion."""
    return describe_sources(sources_that_label(prepared)) + [
        f"macro-F1 on the {beside.n} paragraphs that {name} and people answered: "
        f"{name} {beside.source}, {comparison.champion} {beside.model}, {write_p(beside.lead.p)}"
        for name, beside in comparison.sources.items()
    ]


def compare_with_sources(
    data: Labelled, scores: pd.DataFrame, settings: Evaluate, n_permutations: int, seed: int
) -> dict[str, SourceComparison]:
    """Measure each weak source that answered for at least `LEAST` evaluated paragraphs.

    Beside it stands the model with these out-of-fold scores, as in `outcomes.outcomes`.
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
        measured[str(name)] = SourceComparison(len(given), macro_f1(source), macro_f1(model), lead)
    return measured
