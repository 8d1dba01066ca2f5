"""What several tests are about: a codebook's words, made-up paragraphs, an article, a page."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from paratopic.annotation.context import Suggestion
from paratopic.corpus.table import targets_of
from paratopic.project.params import read_params
from paratopic.project.topics import Topics
from paratopic.reading.article import Article
from paratopic.reading.plain import plain_segments
from paratopic.reading.structure import classify
from paratopic.training.examples import Examples, Fitted
from tests.programs import ROOT

PARAMS = read_params(ROOT / "params.yaml")
KINDS = ["baseline", "transformer"]

WORDS = {
    "trade": "tariff duty export import market goods quota customs".split(),
    "technology": "chip software app data platform algorithm network code".split(),
    "security": "army border missile alliance navy conflict troops island".split(),
}
# Only a tariff's words: every model predicts its topic.
TARIFF = "Tariff duty export import market goods quota customs."
FILLER = "the talks on of and in officials said that both sides will a new".split()

BODIES = [
    "The two delegations met behind closed doors in the old customs house by the harbour, where "
    "the ministers had agreed, after weeks of letters, to begin with duties on steel and timber.",
    "Neither side would say how long it means to stay. A spokeswoman for the hosts called the "
    "mood calm, and asked the reporters who had waited since dawn for patience until the evening.",
    "Export licences for chip-making machines, she added, remain the hardest question of the week; "
    "the long-term answer may have to wait for a second meeting in the spring.",
]
DOCUMENT = [
    ("heading", "Harbour Talks Open"),
    ("body", BODIES[0]),
    ("heading", "Steel, Timber and the Rest"),
    ("heading", "What Comes First?"),
    ("body", BODIES[1]),
    ("body", BODIES[2]),
]


def paragraph(topic: str, rng: random.Random, length: int = 14) -> str:
    """A made-up sentence that is about a topic."""
    words = [rng.choice(WORDS[topic] if rng.random() < 0.4 else FILLER) for _ in range(length)]
    return " ".join(words).capitalize() + "."


def plain_article(name: str, text: str) -> Article:
    """An article of plain text."""
    return Article(name, tuple(classify(plain_segments(text))))


def examples(rows: pd.DataFrame, names: Sequence[str]) -> Examples:
    """Labelled rows as training examples, each a group and an article of its own."""
    places = np.arange(len(rows))
    return Examples(list(rows["text"]), targets_of(rows, names), places, places)


def fit(kind: str, examples: Examples, topics: Topics, encoder: Path) -> Fitted:
    """Fit either kind of model, the transformer with few tokens and one epoch."""
    # Late: most tests need no torch.
    from paratopic.baseline import fit as baseline
    from paratopic.transformer import fit as transformer

    if kind == "baseline":
        return baseline.fit(examples, topics, PARAMS.section("baseline"), 1)
    section = replace(
        PARAMS.section("transformer"),
        encoder=str(encoder),
        epochs=1,
        max_tokens=16,
        train_tokens=16,
    )
    return transformer.fit(examples, topics, section, 1)


def suggestions(topics: Topics, count: int = 3) -> list[Suggestion]:
    """Paragraphs to label, in context, all with the same scores."""
    scores = dict(zip(topics.names, (0.2, 0.5, 0.3), strict=True))
    return [
        Suggestion(
            f"news:{n}",
            "news",
            "A heading",
            f"Tariffs <b>rose</b> {n} times on goods that crossed the border by ship or by rail.",
            (f"What came before {n}.",),
            (f"What came after {n}.",),
            scores,
        )
        for n in range(count)
    ]
