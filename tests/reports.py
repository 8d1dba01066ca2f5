"""Reports as stages write them, with default values for the fields that a test does not set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from paratopic.corpus.folds import Split
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.model_report import Abstention, Metrics, Sure
from paratopic.labels.sample import Sample
from paratopic.labels.summary import Prepared
from paratopic.project.reports import Final


def prepared(**fields: object) -> Prepared:
    sample = Sample(kind=None, drawn=0)
    counts = {"articles": 1, "paragraphs": 5, "boilerplate": 0, "none_of_the_topics": 0}
    empty: dict[str, object] = {"skipped": {}, "metadata": {}, "read": {}, "labelled_by": {}}
    empty |= {"topics": {}, "topics_by": {}, "weak": (), "messages": (), "encoders": {}}
    return Prepared.model_validate({**counts, **empty, "sample": sample, **fields})


def split(**fields: object) -> Split:
    defaults = {"split_unit": "article", "n_folds": 4, "n_repeats": 3, "groups": 9, "messages": ()}
    return Split.model_validate(defaults | fields)


def sure(threshold: float | None = 0.8, **fields: Any) -> Abstention:
    """Sure predictions that rest on many labels."""
    precision = None if threshold is None else 0.96
    share = 0.0 if threshold is None else 0.3
    defaults = Sure(threshold, 0.9, share, precision, groups_needed=44, groups=80)
    return Abstention(0.9, replace(defaults, **fields))


def metrics(mode: str = "single", **fields: object) -> Metrics:
    defaults = {"n": 9, "confidence": 0.95, "split_unit": "article", "notes": ()}
    return Metrics.model_validate({**defaults, "mode": mode, **fields})


def compared(**fields: object) -> Comparison:
    defaults: dict[str, object] = {"mode": "single", "n": 9, "split_unit": "article", "notes": ()}
    defaults |= {"models": {}, "differences": {}, "leads": {}, "annotators": None}
    defaults |= {"champion": "baseline", "reason": "there is no other model"}
    return Comparison.model_validate(defaults | fields)


def final(**fields: object) -> Final:
    context = {"neighbours": 0.0, "heading": 0.0, "title": 0.0}
    defaults = {"n_labelled": 9, "n_unlabelled": 0, "size": 1, "parity": {}, "context": context}
    return Final.model_validate({**defaults, "notes": (), **fields})
