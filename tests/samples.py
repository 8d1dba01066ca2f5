"""Test data and helpers that several tests share: topics, paragraphs, tables and models."""

from __future__ import annotations

import functools
import operator
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from paratopic.corpus.labelled import (
    LABELS_SCHEMA,
    SAMPLE_SCHEMA,
    VOTES_SCHEMA,
    WEAK_SCHEMA,
    Labelled,
    weak_votes,
    with_labels,
)
from paratopic.corpus.table import (
    PARAGRAPHS_SCHEMA,
    passages_for,
    targets_of,
    with_columns,
    write_columns,
)
from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.model import Model
from paratopic.inference.modes import Array, Integers, Scores, mode_of, one_hot
from paratopic.labels.resolve import check_meanings, join_labels, label_rows, vote_rows
from paratopic.labels.votes import CurrentVotes
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.project.params import Params, read_params
from paratopic.project.passages import Passage, article_passages
from paratopic.project.source_settings import Source
from paratopic.project.texts import Text, Texts, numbered
from paratopic.project.topics import Topic, Topics
from paratopic.reading.article import Article
from paratopic.reading.structure import classify, plain_segments
from paratopic.reading.tables import read_labelled_table
from paratopic.training.examples import Examples, Fitted
from tests.programs import ROOT

PARAMS = read_params(ROOT / "params.yaml")
KINDS = ["baseline", "transformer"]

WORDS = {
    "trade": "tariff duty export import market goods quota customs".split(),
    "technology": "chip software app data platform algorithm network code".split(),
    "security": "army border missile alliance navy conflict troops island".split(),
}
TOPICS = Topics("single", tuple(Topic(name, f"About {name}.", rf"\b{name}\b") for name in WORDS))
# Weights of models in tests that read context.
CONTEXT_WEIGHTS = ContextWeights(neighbours=0.6, heading=0.3, title=0.2)
# A text with words of one topic only, which every model predicts.
TARIFF = "Tariff duty export import market goods quota customs."
# A sentence in a language that no model of these tests is for.
GERMAN = "Die Ministerin sagte, die Verhandlungen über den Stahl würden am Montag fortgesetzt."
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


def with_params(folder: Path, params: Params) -> Project:
    """A project with these settings, in a folder without params.yaml."""
    project = Project(folder)
    vars(project)["params"] = params
    return project


def write_params(
    settings: Mapping[str, Any],
    path: Path = Path("params.yaml"),
    source: Path = ROOT / "params.yaml",
) -> None:
    """Write the repository's params.yaml with some changes: dotted key → value.

    It contains the topics, as in old projects, unless the folder has a file of the codebook.
    """
    params = YAML(typ="safe").load(source)
    if "codebook" not in params["topics"]:
        codebook = YAML(typ="safe").load(Paths(source.parent).codebook)
        params["topics"]["codebook"] = codebook["topics"]
    for key, value in settings.items():
        *sections, last = key.split(".")
        functools.reduce(operator.getitem, sections, params)[last] = value
    if (own := Paths(path.parent).codebook).exists():
        YAML(typ="safe").dump({"topics": params["topics"].pop("codebook")}, own)
    YAML(typ="safe").dump(params, path)


def copy_settings(folder: Path) -> None:
    """Copy the repository's params.yaml and codebook."""
    Paths(folder).codebook.parent.mkdir(exist_ok=True)
    for path in (Paths().params, Paths().codebook):
        shutil.copy(ROOT / path, folder / path)


def paragraph(topic: str, rng: random.Random, length: int = 14) -> str:
    """Make up a sentence on a topic."""
    words = [rng.choice(WORDS[topic] if rng.random() < 0.4 else FILLER) for _ in range(length)]
    return " ".join(words).capitalize() + "."


def paragraph_table(**columns: Sequence[object] | pd.Series) -> pd.DataFrame:
    """A paragraph table; missing columns are those of one article without labels."""
    n = len(columns["text"])
    empty = [""] * n
    defaults: dict[str, Sequence[object] | pd.Series] = {
        "id": [f"{number:03}" for number in range(n)],
        "article": ["a"] * n,
        "title": empty,
        "heading": empty,
        "position": range(n),
        "ordered": [False] * n,
        "before": empty,
        "after": empty,
        "boilerplate": [False] * n,
        "label": [None] * n,
        "label_source": ["none"] * n,
        "draw": empty,
        "frame": empty,
        "weight": [np.nan] * n,
    }
    defaults["effective_count"] = columns.get("weight", defaults["weight"])
    return pd.DataFrame(defaults | columns)


def single_outcomes(true: Integers, groups: Integers, scores: Array) -> Outcomes:
    """Outcomes in mode single, from class numbers (n,); the most probable topic is predicted."""
    mode = mode_of("single")
    return Outcomes(mode, one_hot(true, scores.shape[2]), groups, scores, mode.candidates(scores))


def bounds(estimate: Estimate) -> tuple[float, float]:
    """Both ends of an interval, which must exist."""
    assert estimate.low is not None and estimate.high is not None
    return estimate.low, estimate.high


def weak_table(ids: Iterable[str], votes: Iterable[Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """The table of weak votes on paragraphs, from the topics of each source's vote."""
    return vote_rows(
        {"paragraph": id_, "source": source, "kind": "model", "given": topics}
        for id_, source_topics in zip(ids, votes, strict=True)
        for source, topics in source_topics.items()
    )


def write_labelled(
    frame: pd.DataFrame, root: Path = Path(), weak: pd.DataFrame | None = None
) -> None:
    """Write paragraphs with labels and further weak votes, as stage prepare does."""
    write_columns(frame, PARAGRAPHS_SCHEMA, Paths(root).paragraphs)
    labelled = frame[frame["label_source"] != "none"] if "label" in frame else frame[:0]
    kinds = {"hand": ("table.csv", "table"), "weak": ("rules", "rule")}
    votes = vote_rows(
        {"paragraph": row["id"], "given": row["label"] or [], "status": "counts"}
        | dict(zip(("source", "kind"), kinds[row["label_source"]], strict=True))
        | {"place": f"row {number}" if row["label_source"] == "hand" else None}
        for number, row in enumerate(labelled.to_dict("records"), 2)
        if weak is None or row["label_source"] == "hand"
    )
    if weak is not None:
        votes = pd.concat([votes, weak], ignore_index=True)
    labels = label_rows({}, "hand")
    sample = pd.DataFrame(columns=SAMPLE_SCHEMA.names)
    if len(labelled):
        renamed = labelled.rename(columns={"id": "paragraph", "label_source": "by"})
        labels = renamed.assign(label=renamed["label"].map(lambda label: label or []))
        sample = renamed[renamed["by"] == "hand"]
    write_columns(votes, VOTES_SCHEMA, Paths(root).votes)
    write_columns(labels, LABELS_SCHEMA, Paths(root).labels)
    write_columns(sample, SAMPLE_SCHEMA, Paths(root).sample)
    write_columns(weak_votes(votes), WEAK_SCHEMA, Paths(root).weak)


def read_labelled_rows(
    path: Path | str, topics: Topics, no_topic: Sequence[str], source: Source | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a labelled table with its resolved labels, and its fields."""
    paragraphs, votes, fields = read_labelled_table(Path(path), no_topic, source)
    check_meanings([source] if source else [], topics)
    return with_table_labels(paragraphs, votes, topics), fields


def with_table_labels(
    paragraphs: pd.DataFrame, table_votes: pd.DataFrame, topics: Topics
) -> pd.DataFrame:
    """Join paragraphs with the labels that follow from the votes of tables."""
    no_votes = CurrentVotes([], [])
    _, labels, _ = join_labels(paragraphs, table_votes, no_votes, topics, "leave_out")
    return with_labels(paragraphs, labels)


def row_passages(frame: pd.DataFrame) -> list[Passage]:
    return passages_for(frame, frame["id"])


def plain_article(name: str, text: str) -> Article:
    return Article(name, tuple(classify(plain_segments(text))))


def examples(rows: pd.DataFrame, names: Sequence[str]) -> Examples:
    """Convert labelled rows to training examples, each in a group and an article of its own."""
    places = np.arange(len(rows))
    return Examples(numbered(rows["text"]), targets_of(rows["topic"], names), places, places)


def fit(kind: str, examples: Examples, topics: Topics, encoder: Path) -> Fitted:
    """Fit either kind of model, the transformer with few tokens and one epoch."""
    # These imports are late, because most tests need no scikit-learn, and fewer need torch.
    if kind == "baseline":
        from paratopic.baseline import fit as baseline

        return baseline.fit(examples, topics, PARAMS.section("baseline"), 1)
    from paratopic.transformer import fit as transformer

    section = transformer_settings(encoder, epochs=1, max_tokens=16)
    return transformer.fit(examples, topics, section, 1)


def transformer_settings(encoder: Path, **others: object) -> Any:
    """Settings of a transformer with an encoder that reads few tokens at once."""
    defaults = {"encoder": str(encoder), "max_tokens": 32, "train_tokens": 16}
    return replace(PARAMS.section("transformer"), **defaults | others)


def held_out(
    topics: Topics,
    labels: Sequence[Sequence[str]],
    scores: Sequence[Sequence[float]],
    threshold: float = 1.0,
) -> tuple[Labelled, pd.DataFrame]:
    """Paragraphs p0, p1, … with hand labels, each its own article and fold, and their scores."""
    ids = [f"p{n}" for n in range(len(labels))]
    rows = pd.DataFrame({"id": ids, "article": ids, "heading": "", "text": ids})
    rows = rows.assign(topic=pd.Series(list(map(tuple, labels)), dtype=object))
    numbers = range(len(ids))
    folds = pd.DataFrame({"id": ids, "group": numbers, "repeat": 0, "fold": numbers})
    folds = folds.assign(duplicates=numbers)
    table = pd.DataFrame(scores, columns=topics.score_columns)
    table = table.assign(id=ids, repeat=0, fold=numbers)
    table = with_columns(
        table, topics.threshold_columns, np.full((len(ids), len(topics.names)), threshold)
    )
    return Labelled(rows.assign(label_source="hand"), topics, folds), table


def texts_with_context(texts: Texts) -> list[list[str]]:
    """Each text, followed by the texts at all places of its context, "" for none."""
    distinct = [*texts.distinct, ""]
    numbers = np.column_stack([texts.numbers, texts.context])
    return [list(map(distinct.__getitem__, row)) for row in numbers.tolist()]


def score(model: Fitted | Model, texts: Sequence[Text]) -> Scores:
    """Probabilities by a fitted or a loaded model."""
    if isinstance(model, Model):
        return model.predict_proba(texts)
    return model.predict_proba(numbered(texts))


def passages_in_articles(rows: pd.DataFrame) -> list[Passage]:
    """The texts of rows with context from their article, whose name is the title."""
    passages = pd.Series(index=rows.index, dtype=object)
    for name, part in rows.groupby("article"):
        headings = [f"On {text.split()[0]}" for text in part["text"]]
        passages[part.index] = article_passages(list(part["text"]), headings, str(name))
    return list(passages)


def fit_with_context(
    kind: str, examples: Examples, topics: Topics, encoder: Path, weights: ContextWeights
) -> Fitted:
    """Fit a model that reads context with these weights."""
    with pytest.MonkeyPatch.context() as patch:
        for name in KINDS:
            patch.setattr(f"paratopic.{name}.fit.choose_context", lambda *_: weights)
        return fit(kind, examples, topics, encoder)
