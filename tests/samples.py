"""What several tests are about: a codebook's words, made-up paragraphs, an article, a page."""

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
    targets_of,
    texts_of,
    with_columns,
    write_columns,
)
from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.model import Model
from paratopic.inference.modes import Array, Integers, Scores, mode_of, one_hot
from paratopic.labels.answers import CurrentAnswers
from paratopic.labels.resolve import check_meanings, join_labels, label_rows, vote_rows
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
# How much is read by models that are made to read something.
READING = ContextWeights(neighbours=0.6, heading=0.3, title=0.2)
# Only a tariff's words: every model predicts its topic.
TARIFF = "Tariff duty export import market goods quota customs."
# A sentence that no model of these tests is for.
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
    """A project in a folder that has these settings, and no params.yaml."""
    project = Project(folder)
    vars(project)["params"] = params
    return project


def write_params(
    settings: Mapping[str, Any],
    path: Path = Path("params.yaml"),
    source: Path = ROOT / "params.yaml",
) -> None:
    """Write params.yaml, as the project's own but for some settings: dotted key → value.

    The topics are in it, as they were once, unless there is a file of the codebook beside it.
    """
    params = YAML(typ="safe").load(source)
    if "codebook" not in params["topics"]:
        params["topics"]["codebook"] = YAML(typ="safe").load(Paths(source.parent).codebook)[
            "topics"
        ]
    for key, value in settings.items():
        *sections, last = key.split(".")
        functools.reduce(operator.getitem, sections, params)[last] = value
    if (own := Paths(path.parent).codebook).exists():
        YAML(typ="safe").dump({"topics": params["topics"].pop("codebook")}, own)
    YAML(typ="safe").dump(params, path)


def copy_settings(folder: Path) -> None:
    """Copy the project's own params.yaml and codebook."""
    Paths(folder).codebook.parent.mkdir(exist_ok=True)
    for path in (Paths().params, Paths().codebook):
        shutil.copy(ROOT / path, folder / path)


def paragraph(topic: str, rng: random.Random, length: int = 14) -> str:
    """A made-up sentence that is about a topic."""
    words = [rng.choice(WORDS[topic] if rng.random() < 0.4 else FILLER) for _ in range(length)]
    return " ".join(words).capitalize() + "."


def paragraph_table(**columns: Sequence[object] | pd.Series) -> pd.DataFrame:
    """A paragraph table; columns that are not given are those of one article without a label."""
    n = len(columns["text"])
    empty = [""] * n
    usual: dict[str, Sequence[object] | pd.Series] = {
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
    usual["effective_count"] = columns.get("weight", usual["weight"])
    return pd.DataFrame(usual | columns)


def of_one_topic(true: Integers, groups: Integers, scores: Array) -> Outcomes:
    """Outcomes in mode single, from class numbers (n,); the most probable topic is predicted."""
    mode = mode_of("single")
    return Outcomes(mode, one_hot(true, scores.shape[2]), groups, scores, mode.candidates(scores))


def bounds(estimate: Estimate) -> tuple[float, float]:
    """Both ends of an interval that has to be there."""
    assert estimate.low is not None and estimate.high is not None
    return estimate.low, estimate.high


def weak_table(ids: Iterable[str], given: Iterable[Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """The table of what weak sources say of paragraphs, from the topics that each source gives."""
    return vote_rows(
        {"paragraph": id_, "source": name, "kind": "model", "given": each}
        for id_, of_paragraph in zip(ids, given, strict=True)
        for name, each in of_paragraph.items()
    )


def write_labelled(
    frame: pd.DataFrame, root: Path = Path(), weak: pd.DataFrame | None = None
) -> None:
    """Write paragraphs with labels, and further votes of weak sources, as stage prepare does."""
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


def read_joined(
    path: Path | str, topics: Topics, no_topic: Sequence[str], source: Source | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a labelled table with its labels resolved, and its fields."""
    paragraphs, answers, fields = read_labelled_table(Path(path), no_topic, source)
    check_meanings([source] if source else [], topics)
    return joined(paragraphs, answers, topics), fields


def joined(paragraphs: pd.DataFrame, of_tables: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    nobody = CurrentAnswers([], [])
    _, labels, _ = join_labels(paragraphs, of_tables, nobody, topics, "leave_out")
    return with_labels(paragraphs, labels)


def passages_of(frame: pd.DataFrame) -> list[Passage]:
    return texts_of(frame, frame["id"])


def plain_article(name: str, text: str) -> Article:
    return Article(name, tuple(classify(plain_segments(text))))


def examples(rows: pd.DataFrame, names: Sequence[str]) -> Examples:
    """Labelled rows as training examples, each a group and an article of its own."""
    places = np.arange(len(rows))
    return Examples(numbered(rows["text"]), targets_of(rows["topic"], names), places, places)


def fit(kind: str, examples: Examples, topics: Topics, encoder: Path) -> Fitted:
    """Fit either kind of model, the transformer with few tokens and one epoch."""
    # Late: most tests need no scikit-learn, and fewer need torch.
    if kind == "baseline":
        from paratopic.baseline import fit as baseline

        return baseline.fit(examples, topics, PARAMS.section("baseline"), 1)
    from paratopic.transformer import fit as transformer

    section = transformer_settings(encoder, epochs=1, max_tokens=16)
    return transformer.fit(examples, topics, section, 1)


def transformer_settings(encoder: Path, **others: object) -> Any:
    """Settings of a transformer with an encoder that reads few tokens at once."""
    few = {"encoder": str(encoder), "max_tokens": 32, "train_tokens": 16}
    return replace(PARAMS.section("transformer"), **few | others)


def held_out(
    topics: Topics,
    labels: Sequence[Sequence[str]],
    scores: Sequence[Sequence[float]],
    threshold: float = 1.0,
) -> tuple[Labelled, pd.DataFrame]:
    """Paragraphs p0, p1, … with hand labels, each an article and a fold, and scores of them."""
    ids = [f"p{n}" for n in range(len(labels))]
    rows = pd.DataFrame({"id": ids, "article": ids, "heading": "", "text": ids})
    rows = rows.assign(topic=pd.Series(list(map(tuple, labels)), dtype=object))
    numbers = range(len(ids))
    folds = pd.DataFrame({"id": ids, "group": numbers, "repeat": 0, "fold": numbers})
    folds = folds.assign(duplicates=numbers)
    table = pd.DataFrame(scores, columns=topics.scores).assign(id=ids, repeat=0, fold=numbers)
    table = with_columns(
        table, topics.thresholds, np.full((len(ids), len(topics.names)), threshold)
    )
    return Labelled(rows.assign(label_source="hand"), topics, folds), table


def read_in(texts: Texts) -> list[list[str]]:
    """Each text, and those at the places around it, "" for none."""
    distinct = [*texts.distinct, ""]
    numbers = np.column_stack([texts.own, texts.around])
    return [[distinct[number] for number in row] for row in numbers.tolist()]


def score(able: Fitted | Model, texts: Sequence[Text]) -> Scores:
    """Probabilities by a fitted model, or by one that is loaded."""
    if isinstance(able, Model):
        return able.predict_proba(texts)
    return able.predict_proba(numbered(texts))


def in_articles(rows: pd.DataFrame) -> list[Passage]:
    """The texts of rows with those around them in their article; its name is the title."""
    made = pd.Series(index=rows.index, dtype=object)
    for name, part in rows.groupby("article"):
        headings = [f"On {text.split()[0]}" for text in part["text"]]
        made[part.index] = article_passages(list(part["text"]), headings, str(name))
    return list(made)


def fit_reading(
    kind: str, examples: Examples, topics: Topics, encoder: Path, weights: ContextWeights
) -> Fitted:
    """Fit a model that reads as much around texts as the weights say."""
    with pytest.MonkeyPatch.context() as patch:
        for each in KINDS:
            patch.setattr(f"paratopic.{each}.fit.choose_context", lambda *_: weights)
        return fit(kind, examples, topics, encoder)
