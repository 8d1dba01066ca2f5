"""Labelled paragraphs, which models are fitted to and measured on, and their tables.

Stage prepare writes votes, labels and how paragraphs were drawn into a table each, so that a draw
changes no table that fits read. Which votes count is decided in `labels.resolve`.

Beside labelled paragraphs there may be a pool: paragraphs without a label, from which some models
learn too. What a fold holds out must not be in its pool under another name: as a near-duplicate, or
as the rest of an article that is held out. How a model learns from it is for `training.head`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from paratopic.corpus.duplicates import Booleans, Integers, near_duplicates
from paratopic.corpus.table import (
    has_hand_label,
    read_columns,
    read_paragraphs,
    read_parquet,
    targets_of,
)
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.texts import NOTHING, Texts, numbered
from paratopic.project.topics import NO_TOPIC, Topics

# A row for each current answer of a person, a table or a weak source: its vote on a paragraph.
VOTES_SCHEMA = pa.schema(
    [
        ("paragraph", pa.string()),
        ("source", pa.string()),  # name of an annotator, a table or a weak source
        ("place", pa.string()),  # in a table: "row 2"; null: elsewhere
        ("kind", pa.string()),  # person, table, rule, heading or model
        ("given", pa.list_(pa.string())),  # topics, in today's names; empty: none of the topics
        ("confidence", pa.float64()),  # of the source in its vote, 0 to 1; null: it does not say
        # counts, outvoted (by other people), tie, overruled (by people; or, of a weak source, worth
        # nothing) or retired (it has a topic that is no more, and is to be given again)
        ("status", pa.string()),
    ]
)
# A row for each labelled paragraph: its label, and whether it is by hand or by weak sources.
LABELS_SCHEMA = pa.schema(
    [("paragraph", pa.string()), ("label", pa.list_(pa.string())), ("by", pa.string())]
)
# A row for each paragraph with a hand label, or that was drawn to have one: how it was drawn.
SAMPLE_SCHEMA = pa.schema(
    [
        ("paragraph", pa.string()),
        ("draw", pa.string()),  # what was drawn: "paragraph", "article"; "": not known
        # The part of the corpus that its label stands for, such as "table old"; "": all of it.
        ("frame", pa.string()),
        # How much of the frames the label stands for beside the others: 1 if all were drawn at
        # random from all paragraphs; null: not known.
        ("weight", pa.float64()),
        # How much it tells beside one that was drawn at random, 0 to 1; null: not known.
        ("effective_count", pa.float64()),
    ]
)
# What fits read of votes: those of weak sources.
WEAK_SCHEMA = pa.schema(
    [VOTES_SCHEMA.field(name) for name in ("paragraph", "source", "given", "confidence")]
)
# Kinds of sources whose labels are by hand.
BY_HAND = ("person", "table")
# Where a label is from, in the column label_source → words for it.
LABEL_SOURCES = {"hand": "by hand", "weak": "by weak sources"}


def weak_votes(votes: pd.DataFrame) -> pd.DataFrame:
    """Select the votes of weak sources, in the columns that fits read."""
    weak: pd.DataFrame = votes.loc[~votes["kind"].isin(BY_HAND), WEAK_SCHEMA.names]
    return weak


def with_labels(paragraphs: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Join the table of labels to the paragraph table.

    Adds the columns label (a list, empty for none of the topics; None for no label) and
    label_source ("hand", "weak" or "none").
    """
    labels = labels.set_index("paragraph").reindex(paragraphs["id"]).set_axis(paragraphs.index)
    return paragraphs.assign(
        label=labels["label"].astype(object).where(labels["by"].notna(), None),
        label_source=labels["by"].fillna("none"),
    )


def with_sample(frame: pd.DataFrame, sample: pd.DataFrame) -> pd.DataFrame:
    """Join the table of the sample to paragraphs: columns draw, frame, weight, effective_count."""
    sample = sample.set_index("paragraph").reindex(frame["id"]).set_axis(frame.index)
    has_label = frame["label_source"] == "hand"
    return frame.assign(
        draw=sample["draw"].where(has_label, "").fillna(""),
        frame=sample["frame"].where(has_label, "").fillna(""),
        weight=sample["weight"].astype(float),
        effective_count=sample["effective_count"].astype(float),
    )


def is_random(rows: pd.DataFrame) -> pd.Series:
    """Which rows were drawn at random from all of the corpus, by their columns of the sample."""
    return (rows["draw"] != "") & (rows["frame"] == "")


def weak_votes_on(rows: pd.DataFrame, weak: pd.DataFrame) -> pd.DataFrame:
    """Votes of weak sources on n rows: columns row (from 0), source, given and confidence."""
    weak = weak.assign(row=pd.Index(rows["id"]).get_indexer(weak["paragraph"]))
    weak = weak[weak["row"] >= 0].sort_values("row", kind="stable", ignore_index=True)
    return weak[["row", "source", "given", "confidence"]]


def read_labelled_paragraphs(paths: Paths) -> pd.DataFrame:
    """Read the paragraphs of a project, with labels and their draws."""
    labels = read_columns(paths.labels, LABELS_SCHEMA)
    frame = with_labels(read_paragraphs(paths.paragraphs), labels)
    return with_sample(frame, read_columns(paths.sample, SAMPLE_SCHEMA))


# Number of labels that were drawn at random from which on figures are those of the corpus, not of
# all that are labelled.
LEAST_DRAWN = 20


@dataclass(frozen=True)
class Pool:
    """Paragraphs without a label, and what ties them to those with one.

    Parameters
    ----------
    labelled, unlabelled
        n paragraphs with a label and m without, with the columns article and text. A text that
        several articles have is there for each.
    """

    labelled: pd.DataFrame
    unlabelled: pd.DataFrame

    @property
    def texts(self) -> tuple[str, ...]:
        """All distinct texts without a label, for a model that is not measured."""
        return tuple(dict.fromkeys(self.unlabelled["text"]))

    @cached_property
    def _duplicates(self) -> Integers:
        """(n + m,) numbers of near-duplicates. Only folds need them, and they take long to find."""
        return near_duplicates([*self.labelled["text"], *self.unlabelled["text"]])

    def without_leakage(
        self, train: Integers, held_out: Integers, others: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Select the texts that may teach a model that is measured on held-out rows.

        Left out are near-duplicates of these rows, labelled articles that have no label in the
        training part or that are held out without one (`others`), and near-duplicates of those of
        their texts that are in the pool. Each text is there once.
        """
        known, articles = self.labelled["article"], self.unlabelled["article"]
        duplicates = self._duplicates[len(known) :]
        hidden = articles.isin(known) & ~articles.isin(known.iloc[train])
        hidden |= articles.isin(others)
        hidden |= np.isin(duplicates, self._duplicates[held_out])
        hidden |= np.isin(duplicates, duplicates[hidden])
        return tuple(dict.fromkeys(self.unlabelled["text"][~hidden]))


# Columns of the table of paragraphs without a label.
DEALT_COLUMNS = ["id", "article", "repeat", "fold", "copy_of"]


@dataclass(frozen=True)
class Unlabelled:
    """Paragraphs without a label, which folds hold out beside the labelled ones.

    Parameters
    ----------
    rows
        From `corpus.folds.deal_unlabelled`, a row for each paragraph and repeat.
    texts
        The texts of these rows, with what stands around them; none, the default, where models do
        not score them.
    """

    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=DEALT_COLUMNS))
    texts: Texts = field(default_factory=lambda: numbered(()))

    def of(self, fold: int, repeat: int = 0) -> Unlabelled:
        """Select what a fold of a repeat holds out."""
        part = ((self.rows["fold"] == fold) & (self.rows["repeat"] == repeat)).to_numpy(dtype=bool)
        texts = self.texts.of(part) if len(self.texts) else self.texts
        return Unlabelled(self.rows[part], texts)


@dataclass(frozen=True)
class Labelled:
    """n labelled paragraphs, and how they are dealt to folds.

    Parameters
    ----------
    rows
        The paragraphs, from `labelled_rows`; a column `passage`, if there is one, has their texts
        with what stands around them.
    folds
        The table of `corpus.folds.Folds`; empty, the default, where nothing is dealt yet.
    unlabelled
        Paragraphs without a label that folds hold out too; none by default.
    pool
        Paragraphs without a label, of which each fit gets those that tell nothing of its fold; none
        by default.
    weak
        Votes of weak sources (`weak_votes`); none by default.
    """

    rows: pd.DataFrame
    topics: Topics
    folds: pd.DataFrame = field(default_factory=pd.DataFrame)
    pool: Pool | None = None
    weak: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=WEAK_SCHEMA.names))
    unlabelled: Unlabelled = field(default_factory=Unlabelled)

    @cached_property
    def by_hand(self) -> Booleans:
        """(n,) which labels are by hand. Only these are evaluated."""
        return has_hand_label(self.rows).to_numpy()

    @property
    def hand(self) -> Labelled:
        """The paragraphs with a label by hand."""
        return self.of(self.by_hand)

    @cached_property
    def targets(self) -> Booleans:
        """(n, k) which topics the paragraphs have."""
        return targets_of(self.rows["topic"], self.topics.names)

    @property
    def outcomes(self) -> pd.DataFrame:
        """The targets, a column for each topic, and in the last one who has none of the topics."""
        has = pd.DataFrame(self.targets, self.rows.index, list(self.topics.names))
        return has.assign(**{NO_TOPIC: self.rows["topic"].str.len() == 0})

    @property
    def counts(self) -> dict[str, int]:
        """Number of paragraphs with each topic, and last with none of them."""
        return {str(name): int(n) for name, n in self.outcomes.sum().items()}

    @property
    def weights(self) -> npt.NDArray[np.float64] | None:
        """(n,) how much of the corpus each paragraph stands for.

        It is None, so that all count the same, unless `LEAST_DRAWN` of them were drawn at random,
        and stand for all of it.
        """
        if "draw" not in self.rows or is_random(self.rows).sum() < LEAST_DRAWN:
            return None
        return self.rows["weight"].fillna(0.0).to_numpy(dtype=np.float64)

    @cached_property
    def groups(self) -> Integers:
        """Numbers of the groups of the rows, (n,)."""
        return groups_of(self.folds, list(self.rows["id"]))

    @cached_property
    def texts(self) -> Texts:
        """The texts of the rows with what stands around them."""
        return numbered(self.rows.get("passage", self.rows["text"]))

    def of(self, part: Booleans | Integers | slice) -> Labelled:
        """Select paragraphs, by their numbers or by whether they are wanted."""
        return replace(self, rows=self.rows.iloc[part])

    def measured(self, scores: pd.DataFrame) -> Labelled:
        """Select the paragraphs that are evaluated: by hand, and with out-of-fold scores."""
        return self.of(self.by_hand & self.rows["id"].isin(scores["id"]).to_numpy())

    def without_leakage(self, train: Integers, held_out: Integers) -> tuple[Texts, Texts]:
        """Texts to learn from and texts that are held out, neither of which reads the other.

        Where articles are held out whole, that is so by itself. Where an article has paragraphs of
        both, what stands around these would tell of them. Then its held-out paragraphs are read
        alone, and near-duplicates of them are left out around the others.
        """
        articles = self.rows["article"].to_numpy()
        to_learn, to_score = self.texts.of(train), self.texts.of(held_out)
        divided = np.intersect1d(articles[train], articles[held_out])
        if not len(divided):
            return to_learn, to_score
        hidden = np.isin(self._duplicates, self._duplicates[to_score.own])
        of_divided = np.isin(articles[held_out], divided)[:, None]
        return to_learn.without(hidden[to_learn.around]), to_score.without(of_divided)

    @cached_property
    def _duplicates(self) -> Integers:
        """Numbers that near-duplicates share, (m,), of the distinct texts.

        Headings have none, unless a paragraph has the same text.
        """
        texts = self.texts
        beside = (texts.at(part).ravel() for part in ("before", "after"))
        paragraphs = np.setdiff1d(np.concatenate([texts.own, *beside]), NOTHING)
        duplicates = np.full(len(texts.distinct), NOTHING)
        duplicates[paragraphs] = near_duplicates([texts.distinct[n] for n in paragraphs.tolist()])
        return duplicates


def groups_of(table: pd.DataFrame, ids: Sequence[str], column: str = "group") -> Integers:
    """Numbers of the groups of paragraphs, or of their `duplicates`, (n,), from that of `Folds`."""
    group = table.drop_duplicates("id").set_index("id")[column]
    return group.loc[list(ids)].to_numpy()


def labelled_rows(frame: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Select the rows with a label, and add a column `topic` with the topics that count.

    Parameters
    ----------
    frame
        Paragraph table with its labels (`with_labels`).
    topics
        The codebook, whose mode says which of a paragraph's topics count (`Topics.counted`).

    Returns
    -------
    The rows sorted by id. A cell of `topic` is a tuple of names, () for none of the topics.
    """
    rows = frame[frame["label_source"] != "none"].sort_values("id", ignore_index=True)
    counted = [topics.counted(names) for names in rows["label"]]
    return rows.assign(topic=pd.Series(counted, rows.index, dtype=object))


def check_names(frame: pd.DataFrame, topics: Topics) -> None:
    """Refuse a paragraph table with labels that are no topics: the codebook has changed since."""
    labels = frame[["id", "label"]].explode("label").dropna()
    former = labels[~labels["label"].isin(topics.names)]
    if len(former):
        id_, name = former.iloc[0]
        raise UserError(
            f"{Paths().labels}: {id_} has the topic {name}, which the codebook lacks: run "
            "`dvc repro`"
        )


def labelled_in(frame: pd.DataFrame, topics: Topics) -> Labelled:
    """The labelled paragraphs of a paragraph table with its labels, in no folds; `check_names`."""
    check_names(frame, topics)
    return Labelled(labelled_rows(frame, topics), topics)


def read_labelled(paths: Paths, topics: Topics) -> Labelled:
    """Read what fits read of the labelled paragraphs of a project."""
    labels = read_columns(paths.labels, LABELS_SCHEMA)
    frame = with_labels(read_paragraphs(paths.paragraphs), labels)
    return replace(labelled_in(frame, topics), weak=read_columns(paths.weak, WEAK_SCHEMA))


def read_sampled(paths: Paths, topics: Topics) -> Labelled:
    """Read the labelled paragraphs of a project, their folds, and how they were drawn."""
    data = read_labelled(paths, topics)
    rows = with_sample(data.rows, read_columns(paths.sample, SAMPLE_SCHEMA))
    return replace(data, rows=rows, folds=read_parquet(paths.folds))


def make_pool(paragraphs: pd.DataFrame, rows: pd.DataFrame, most: int, seed: int) -> Pool:
    """Draw paragraphs that have no label.

    Parameters
    ----------
    paragraphs
        Paragraph table.
    rows
        Its labelled rows.
    most
        Number of distinct texts, at most.
    """
    unlabelled = paragraphs[~paragraphs["id"].isin(rows["id"])]
    unlabelled = unlabelled.drop_duplicates(["article", "text"])
    texts = unlabelled["text"].unique()
    if len(texts) > most:
        drawn = np.random.default_rng(seed).choice(len(texts), most, replace=False)
        unlabelled = unlabelled[unlabelled["text"].isin(texts[drawn])]
    columns = ["article", "text"]
    return Pool(rows[columns], unlabelled[columns])
