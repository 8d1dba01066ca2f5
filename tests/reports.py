"""Reports as stages write them; a test gives what it is about, and the rest is made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from paratopic.corpus.folds import Split
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.model_report import Abstention, Metrics, Sure
from paratopic.labels.sample import Sample
from paratopic.labels.summary import Prepared
from paratopic.project.reports import Final


def prepared(**about: object) -> Prepared:
    sample = Sample(kind=None, drawn=0)
    counts = {"articles": 1, "paragraphs": 5, "boilerplate": 0, "none_of_the_topics": 0}
    empty: dict[str, object] = {"skipped": {}, "metadata": {}, "read": {}, "labelled_by": {}}
    empty |= {"topics": {}, "topics_by": {}, "weak": (), "messages": (), "encoders": {}}
    return Prepared.model_validate({**counts, **empty, "sample": sample, **about})


def split(**about: object) -> Split:
    usual = {"split_unit": "article", "n_folds": 4, "n_repeats": 3, "groups": 9, "messages": ()}
    return Split.model_validate(usual | about)


def sure(threshold: float | None = 0.8, **about: Any) -> Abstention:
    """Sure predictions of many labels."""
    precision = None if threshold is None else 0.96
    share = 0.0 if threshold is None else 0.3
    usual = Sure(threshold, 0.9, share, precision, groups_needed=44, groups=80)
    return Abstention(0.9, replace(usual, **about))


def metrics(mode: str = "single", **about: object) -> Metrics:
    usual = {"n": 9, "confidence": 0.95, "split_unit": "article", "notes": ()}
    return Metrics.model_validate({**usual, "mode": mode, **about})


def compared(**about: object) -> Comparison:
    usual: dict[str, object] = {"mode": "single", "n": 9, "split_unit": "article", "notes": ()}
    usual |= {"models": {}, "differences": {}, "leads": {}, "annotators": None}
    usual |= {"champion": "baseline", "reason": "there is no other model"}
    return Comparison.model_validate(usual | about)


def final(**about: object) -> Final:
    context = {"neighbours": 0.0, "heading": 0.0, "title": 0.0}
    usual = {"n_labelled": 9, "n_unlabelled": 0, "size": 1, "parity": {}, "context": context}
    return Final.model_validate({**usual, "notes": (), **about})
