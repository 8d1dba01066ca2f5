"""The model card: a hub can read it, and its figures are those of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard

from paratopic.corpus.labelled import Labelled
from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.model_report import Metrics, TopicFigures
from paratopic.findings.card import render_card
from paratopic.inference.linear_head import ContextWeights, Reading
from paratopic.inference.manifest import CARD, Manifest, is_card_of
from paratopic.inference.model import Model
from paratopic.inference.modes import Calibration, mode_of
from paratopic.project.metric_names import metrics_in
from paratopic.project.texts import Text
from paratopic.project.topics import Topic, Topics
from tests.reports import final, metrics, sure
from tests.samples import PARAMS

pytestmark = pytest.mark.usefixtures("strict_templates")

PARITY = {"similarity": 0.998, "int8_used": 1.0, "gap": 2e-4, "full_gap": 0.04, "full_same": 0.992}


class StubClassifier:
    """A stub for a model's classifier."""

    context = ContextWeights()

    def read(self, texts: Sequence[Text]) -> Reading:
        mode = mode_of("single")
        logits = mode.logits(mode.complete(np.array([[2 / 3, 0.1, 0.1]] * len(texts))))
        return Reading(logits, np.ones(len(texts), dtype=np.int64))


@pytest.fixture
def card(topics: Topics, rows: pd.DataFrame, tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a card, from a report, a kind and a threshold for sure."""
    (tmp_path / "paratopic.json").write_text("{}", encoding="utf-8")

    def write(report: Metrics, kind: str = "baseline", sure: float = 0.0, **about: Any) -> str:
        calibration = Calibration(thresholds=(0.5, 0.25, 1.0), sure=sure)
        manifest = Manifest(kind, topics, calibration, (), {})
        model = Model(tmp_path, manifest, cast(Any, StubClassifier()))
        tuned = {"n_unlabelled": 7, "parity": PARITY} if kind == "transformer" else {}
        data = Labelled(rows if report.n else rows[:0], about.pop("topics", topics))
        sections = PARAMS.sections
        if encoder := about.pop("encoder", ""):
            sections = {**sections, kind: replace(PARAMS.section(kind), encoder=encoder)}
        about = {"sections": sections, "license": None, "language": None} | about
        return render_card(model, replace(PARAMS, **about), data, final(**tuned), report)

    return write


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1)


def topic_figures(support: int = 12) -> TopicFigures:
    return TopicFigures(support, *[estimate(0.7)] * 3)


@pytest.fixture
def report(topics: Topics) -> Metrics:
    figures = dict.fromkeys(metrics_in("single"), estimate(0.5)) | {"macro_f1": estimate(0.8)}
    figures |= {"coverage": estimate(0.6), "precision": estimate(0.91), "ece": Estimate(0.05)}
    return metrics(
        n=36,
        labels="hand",
        figures=figures,
        notes=("first note", "second · note"),
        topics=dict.fromkeys(topics.names, topic_figures()),
        abstention=sure(0.7),
    )


def test_a_hub_reads_it(card: Callable[..., str], report: Metrics, tmp_path: Path) -> None:
    hub = {"license": "apache-2.0", "language": "en"}
    written = card(report, "transformer", 0.7, encoder="a/b", **hub)
    assert is_card_of(written, tmp_path)
    (tmp_path / "paratopic.json").write_text("{ }", encoding="utf-8")
    assert not is_card_of(written, tmp_path)
    path = tmp_path / CARD
    path.write_text(written, encoding="utf-8")
    read = ModelCard.load(path)
    assert read.data.base_model == "a/b"
    assert (read.data.library_name, read.data.language) == ("paratopic", "en")
    assert read.data.license == "apache-2.0"
    results = {result.metric_type: result.metric_value for result in read.data.eval_results}
    assert results == {"f1": 0.8, "accuracy": 0.5}
    for line in (
        "| macro-F1, forced choice | 0.800 | 0.700 to 0.900 |",
        "| expected calibration error | 0.050 |  |",
        "| F1 of trade (n = 12) | 0.700 |",
        "| trade | 12 | 33% | About trade. |",
        "no topic where security has 49% and no other topic is probable, because security is named",
        "60% of paragraphs (coverage)",
        "91% of the predicted topics are right (precision)",
        "50% of the paragraphs with a topic get it (recall)",
        "at least 0.70 are marked sure (30% of paragraphs); at least 90% of these",
        "38 labelled paragraphs (38 by hand) of 6 articles; 2 paragraphs",
        *("7 paragraphs without a label", "- second · note", "within 0.04 of"),
        "answer = model.predict('About trade.')",
        "# ('trade',) 0.67 False",
        f"Made with paratopic {version('paratopic')}, numpy ",
        ", torch ",
    ):
        assert line in written


def test_names_and_definitions_are_text(card: Callable[..., str], report: Metrics) -> None:
    odd = Topics("single", (Topic("<img src=x>", "<b> | *all*"), Topic("[security](x)", "Army.")))
    about = {"notes": ("<img src=x>: few",), "topics": {"<img src=x>": topic_figures(1)}}
    written = card(report.model_copy(update=about), topics=odd)
    assert "| &lt;img src=x&gt; | 0 | 33% | &lt;b&gt; \\| \\*all\\* |" in written
    assert r"| \[security\](x) | 0 | 20% | Army. |" in written
    assert "- &lt;img src=x&gt;: few" in written
    assert "<img" not in written.partition("## How to use")[0]


def test_no_folder_and_nothing_that_was_not_measured_is_mentioned(
    card: Callable[..., str], report: Metrics, topics: Topics, tmp_path: Path
) -> None:
    written = card(report, "transformer", encoder=str(tmp_path))
    assert str(tmp_path) not in written
    assert "sentence-transformers" in written
    written = card(metrics(n=0, notes=("no labelled paragraph at all",)))
    assert "no labelled paragraph at all" in written
    for words in ("model-index", "SentenceTransformer", "license", "torch", "language", "English"):
        assert words not in written
    # Topics without figures are not mentioned, nor unlabelled texts and definitions if unused.
    report = report.model_copy(update={"topics": report.topics | {"trade": topic_figures(0)}})
    written = card(report, sure=0.7, topics=Topics("single", topics.names))
    assert "F1 of trade" not in written and "F1 of security" in written
    assert "without a label" not in written and "definitions" not in written
