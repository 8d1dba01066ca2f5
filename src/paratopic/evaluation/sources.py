"""Weak sources beside a model, on the paragraphs that people labelled and a source answered for.

How far a source is trusted, topic by topic, is for `labels.weak`. Here its answers are
measured as a model's, so that one sees when the model has caught up with its teacher.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from paratopic.corpus.labelled import Labelled
from paratopic.evaluation.intervals import (
    Difference,
    Estimate,
    difference,
    share_estimates,
    shares_of,
    shares_of_answers,
)
from paratopic.evaluation.outcomes import Outcomes, answer_outcomes
from paratopic.project.metrics import HEADLINE
from paratopic.project.params import Evaluate

# A source is measured from so many paragraphs on.
LEAST = 10


@dataclass(frozen=True)
class Beside:
    """A source and a model on the same paragraphs.

    Parameters
    ----------
    n
        Number of paragraphs with a hand label, out-of-fold scores and an answer of the source.
    source, model
        Macro-F1 of the answers of each.
    """

    n: int
    source: Estimate
    model: Estimate
    lead: Difference

    def as_json(self) -> dict[str, Any]:
        """Content of comparison.json for this source."""
        return asdict(self)


def beside_model(
    data: Labelled, scores: pd.DataFrame, settings: Evaluate, n_permutations: int, seed: int
) -> dict[str, Beside]:
    """Measure each weak source that answered for at least `LEAST` evaluated paragraphs.

    Parameters
    ----------
    scores
        Out-of-fold scores of the model (see `outcomes.outcomes`).
    settings
        Confidence of the intervals and number of draws.
    n_permutations
        Number of permutations of the paired test.

    Returns
    -------
    Name of a source → figures, by name.
    """
    topics, part = data.topics, data.measured(scores)
    ids, weak = list(part.rows["id"]), part.weak_answers
    given: dict[str, dict[str, set[str]]] = {}
    for row, source, names in zip(weak["row"], weak["source"], weak["topics"], strict=True):
        of_source = given.setdefault(source, {})
        of_source.setdefault(ids[row], set()).update(topics.counted(names))

    def macro_f1(answers: Outcomes) -> Estimate:
        shares = shares_of(answers) | shares_of_answers(answers)
        wish = settings.confidence, settings.n_draws, seed
        return share_estimates(answers, shares, *wish)[HEADLINE[topics.mode]]

    measured = {}
    for name, answers in sorted(given.items()):
        if len(answers) < LEAST:
            continue
        of_model = scores[scores["id"].isin(answers.keys())]
        chosen = [answers[id_] for id_ in of_model["id"]]
        # The same in each repeat; no source was shown a label of the paragraph's own article.
        table = of_model[["id", "repeat"]].assign(**dict.fromkeys(topics.thresholds, 0.5))
        for column, topic in zip(topics.scores, topics.names, strict=True):
            table[column] = [float(topic in each) for each in chosen]
        model = answer_outcomes(data, of_model)
        source = replace(answer_outcomes(data, table), train_share=1.0, topic_shares=None)
        lead = difference(model, source, settings.confidence, n_permutations, seed)
        measured[name] = Beside(len(answers), macro_f1(source), macro_f1(model), lead)
    return measured
