"""Labelled paragraphs, which models are fitted to and measured on, and their tables.

Stage prepare writes votes, labels and the sample into a table each, so that a new draw changes no
table that fits read. `labels.resolve` decides which votes count.

There may also be a pool: paragraphs without a label, which some models are trained on, too
(`training.head`). The pool of a fold must have no near-duplicate of a held-out paragraph, and no
other paragraph of an article that is held out.
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
from paratopic.project.texts import NO_TEXT, Texts, numbered
from paratopic.project.topics import NO_TOPIC, Topics

# A row for each current vote of a person, a table or a weak source on a paragraph.
VOTES_SCHEMA = pa.schema(
    [
        ("paragraph", pa.string()),
        ("source", pa.string()),  # name of an annotator, a table or a weak source
        ("place", pa.string()),  # in a table: "row 2"; null: elsewhere
        ("kind", pa.string()),  # person, table, rule, heading or model
        ("given", pa.list_(pa.string())),  # topics, in today's names; empty: none of the topics
        ("confidence", pa.float64()),  # of the source in its vote, 0 to 1; null: not known
        # counts; outvoted (by other people); tie; overruled (by people, or because the weak source
        # is not accurate enough); or retired (a topic of it has been removed from the codebook)
        ("status", pa.string()),
    ]
)
# A row for each labelled paragraph: its label, and whether it is by hand or by weak sources.
LABELS_SCHEMA = pa.schema(
    [("paragraph", pa.string()), ("label", pa.list_(pa.string())), ("by", pa.string())]
)
# A row for each paragraph that has a hand label or was drawn to get one.
SAMPLE_SCHEMA = pa.schema(
    [
        ("paragraph", pa.string()),
        ("draw", pa.string()),  # unit of the draw: "paragraph", "article"; "": not known
        # The part of the corpus from which it was drawn, such as "table old"; "": all of it.
        ("frame", pa.string()),
        # The part of the frames that the label stands for, relative to other labels: 1 if all were
        # drawn at random from all paragraphs; null: not known.
        ("weight", pa.float64()),
        # The effective count of the label, 0 to 1; null: not known.
        ("effective_count", pa.float64()),
    ]
)
# The columns of votes that fits read. The rows are those of weak sources.
WEAK_SCHEMA = pa.schema(
    [VOTES_SCHEMA.field(name) for name in ("paragraph", "source", "given", "confidence")]
)
# Kinds of sources whose labels are by hand.
BY_HAND = ("person", "table")
# Value of the column label_source → its words in sentences.
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
    """Add the columns draw, frame, weight and effective_count of the sample to the paragraph table.

    `frame` has the column label_source (`with_labels`). Without a hand label, draw and frame are
    ""; without a row in the sample, weight and effective_count are NaN.
    """
    sample = sample.set_index("paragraph").reindex(frame["id"]).set_axis(frame.index)
    has_label = frame["label_source"] == "hand"
    return frame.assign(
        draw=sample["draw"].where(has_label, "").fillna(""),
        frame=sample["frame"].where(has_label, "").fillna(""),
        weight=sample["weight"].astype(float),
        effective_count=sample["effective_count"].astype(float),
    )


def is_random(rows: pd.DataFrame) -> pd.Series:
    """Whether each row was drawn at random from all of the corpus, by the columns of the sample."""
    return (rows["draw"] != "") & (rows["frame"] == "")


def weak_votes_on(rows: pd.DataFrame, weak: pd.DataFrame) -> pd.DataFrame:
    """Votes of weak sources on n rows: columns row (from 0), source, given and confidence."""
    weak = weak.assign(row=pd.Index(rows["id"]).get_indexer(weak["paragraph"]))
    weak = weak[weak["row"] >= 0].sort_values("row", kind="stable", ignore_index=True)
    return weak[["row", "source", "given", "confidence"]]


def read_labelled_paragraphs(paths: Paths) -> pd.DataFrame:
    """Read the paragraphs of a project with their labels and sample."""
    labels = read_columns(paths.labels, LABELS_SCHEMA)
    frame = with_labels(read_paragraphs(paths.paragraphs), labels)
    return with_sample(frame, read_columns(paths.sample, SAMPLE_SCHEMA))


# With at least this many labels that were drawn at random, figures describe the corpus, and else
# the labelled paragraphs.
LEAST_DRAWN = 20


@dataclass(frozen=True)
class Pool:
    """Paragraphs without a label that models are trained on, and the labelled ones.

    Parameters
    ----------
    labelled, unlabelled
        n paragraphs with a label and m without, with the columns article and text. A text in
        several articles has a row for each.
    """

    labelled: pd.DataFrame
    unlabelled: pd.DataFrame

    @property
    def texts(self) -> tuple[str, ...]:
        """All distinct texts without a label, for the final fit."""
        return tuple(dict.fromkeys(self.unlabelled["text"]))

    @cached_property
    def _duplicates(self) -> Integers:
        """(n + m,) numbers of near-duplicates; computed late, because only folds need them."""
        return near_duplicates([*self.labelled["text"], *self.unlabelled["text"]])

    def without_leakage(
        self, train: Integers, held_out: Integers, others: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Select the distinct unlabelled texts to train on if labelled rows are held out.

        `train` and `held_out` are positions of labelled rows, and `others` ids of further articles
        that are held out. Texts of an article in `others`, or with labels but none in `train`, are
        left out, as are near-duplicates of such texts and of held-out rows.
        """
        labelled, articles = self.labelled["article"], self.unlabelled["article"]
        duplicates = self._duplicates[len(labelled) :]
        hidden = articles.isin(labelled) & ~articles.isin(labelled.iloc[train])
        hidden |= articles.isin(others)
        hidden |= np.isin(duplicates, self._duplicates[held_out])
        hidden |= np.isin(duplicates, duplicates[hidden])
        return tuple(dict.fromkeys(self.unlabelled["text"][~hidden]))


# Columns of the table of paragraphs without a label.
DEALT_COLUMNS = ["id", "article", "repeat", "fold", "copy_of"]


@dataclass(frozen=True)
class Unlabelled:
    """Paragraphs without a label, which folds hold out in addition to the labelled ones.

    Parameters
    ----------
    rows
        From `corpus.folds.deal_unlabelled`, a row for each paragraph and repeat; none by default.
    texts
        The texts of these rows with their context; none, the default, if models do not score them.
    """

    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=DEALT_COLUMNS))
    texts: Texts = field(default_factory=lambda: numbered(()))

    def select_fold(self, fold: int, repeat: int = 0) -> Unlabelled:
        """Select the paragraphs that a fold of a repeat holds out."""
        part = ((self.rows["fold"] == fold) & (self.rows["repeat"] == repeat)).to_numpy(dtype=bool)
        texts = self.texts.select(part) if len(self.texts) else self.texts
        return Unlabelled(self.rows[part], texts)


@dataclass(frozen=True)
class Labelled:
    """n labelled paragraphs and their folds.

    Parameters
    ----------
    rows
        The paragraphs, from `labelled_rows`. An optional column `passage` has their texts with
        their context.
    folds
        The table of `corpus.folds.Folds`; empty by default.
    pool
        Paragraphs without a label for training, except those that leak what a fold holds out; none
        by default.
    weak
        Votes of weak sources (`weak_votes`); none by default.
    unlabelled
        Paragraphs without a label that folds hold out, too; none by default.
    """

    rows: pd.DataFrame
    topics: Topics
    folds: pd.DataFrame = field(default_factory=pd.DataFrame)
    pool: Pool | None = None
    weak: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=WEAK_SCHEMA.names))
    unlabelled: Unlabelled = field(default_factory=Unlabelled)

    @cached_property
    def by_hand(self) -> Booleans:
        """(n,) whether each label is by hand. Only these are evaluated."""
        return has_hand_label(self.rows).to_numpy()

    @property
    def hand_labelled(self) -> Labelled:
        """The paragraphs with a label by hand."""
        return self.select(self.by_hand)

    @cached_property
    def targets(self) -> Booleans:
        """(n, k) whether each paragraph has each topic."""
        return targets_of(self.rows["topic"], self.topics.names)

    @property
    def outcomes(self) -> pd.DataFrame:
        """The targets in a column for each topic, and a last column for none of the topics."""
        targets = pd.DataFrame(self.targets, self.rows.index, list(self.topics.names))
        return targets.assign(**{NO_TOPIC: self.rows["topic"].str.len() == 0})

    @property
    def counts(self) -> dict[str, int]:
        """Number of paragraphs with each topic, and with none of them."""
        return {str(name): int(n) for name, n in self.outcomes.sum().items()}

    @property
    def weights(self) -> npt.NDArray[np.float64] | None:
        """(n,) part of the corpus that each paragraph stands for, relative to the others.

        It is None, for equal weights, unless `LEAST_DRAWN` paragraphs were drawn at random from all
        of the corpus, and one of them has a topic. A row without a weight in the sample has 0.
        """
        drawn = is_random(self.rows) if "draw" in self.rows else pd.Series(dtype=bool)
        if drawn.sum() < LEAST_DRAWN or not self.targets[drawn].any():
            return None
        return self.rows["weight"].fillna(0.0).to_numpy(dtype=np.float64)

    @cached_property
    def groups(self) -> Integers:
        """Numbers of the groups of the rows, (n,)."""
        return group_numbers(self.folds, list(self.rows["id"]))

    @cached_property
    def texts(self) -> Texts:
        """The texts of the rows with their context."""
        return numbered(self.rows.get("passage", self.rows["text"]))

    def select(self, part: Booleans | Integers | slice) -> Labelled:
        """Select paragraphs by their positions, or by a boolean for each."""
        return replace(self, rows=self.rows.iloc[part])

    def measured(self, scores: pd.DataFrame) -> Labelled:
        """Select the paragraphs that are evaluated: by hand, and with out-of-fold scores."""
        return self.select(self.by_hand & self.rows["id"].isin(scores["id"]).to_numpy())

    def without_leakage(self, train: Integers, held_out: Integers) -> tuple[Texts, Texts]:
        """Texts to train on and held-out texts, neither of which has the other in its context.

        Contexts change only if an article has paragraphs of both. Then its held-out paragraphs lose
        their context, and all paragraphs to train on lose near-duplicates of held-out ones from
        theirs. `train` and `held_out` are positions of rows.
        """
        articles = self.rows["article"].to_numpy()
        to_train, to_score = self.texts.select(train), self.texts.select(held_out)
        divided = np.intersect1d(articles[train], articles[held_out])
        if not len(divided):
            return to_train, to_score
        hidden = np.isin(self._duplicates, self._duplicates[to_score.numbers])
        is_divided = np.isin(articles[held_out], divided)[:, None]
        return to_train.without(hidden[to_train.context]), to_score.without(is_divided)

    @cached_property
    def _duplicates(self) -> Integers:
        """Numbers of near-duplicates among the distinct texts, (m,).

        A heading or title has `NO_TEXT`, unless a paragraph has the same text.
        """
        texts = self.texts
        neighbours = [texts.at(part).ravel() for part in ("before", "after")]
        paragraphs = np.setdiff1d(np.concatenate([texts.numbers, *neighbours]), NO_TEXT)
        duplicates = np.full(len(texts.distinct), NO_TEXT)
        duplicates[paragraphs] = near_duplicates([texts.distinct[n] for n in paragraphs.tolist()])
        return duplicates


def group_numbers(table: pd.DataFrame, ids: Sequence[str], column: str = "group") -> Integers:
    """Group numbers of n paragraphs, (n,), or their `duplicates`, from the table of `Folds`."""
    numbers = table.drop_duplicates("id").set_index("id")[column]
    return numbers.loc[list(ids)].to_numpy()


def labelled_rows(frame: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Select the rows with a label, sorted by id, and add a column `topic` with the counted topics.

    `frame` is a paragraph table with its labels (`with_labels`). A cell of `topic` is a tuple of
    names, () for none of the topics; the mode of `topics` decides which ones are counted.
    """
    rows = frame[frame["label_source"] != "none"].sort_values("id", ignore_index=True)
    counted = [topics.counted(names) for names in rows["label"]]
    return rows.assign(topic=pd.Series(counted, rows.index, dtype=object))


def check_names(frame: pd.DataFrame, topics: Topics) -> None:
    """Raise a UserError if a label, by hand or weak, has a topic that the codebook lacks."""
    labels = frame[["id", "label"]].explode("label").dropna()
    former = labels[~labels["label"].isin(topics.names)]
    if len(former):
        id_, name = former.iloc[0]
        raise UserError(
            f"{Paths().labels}: {id_} has the topic {name}, which the codebook lacks: run "
            "`dvc repro`"
        )


def labelled_in(frame: pd.DataFrame, topics: Topics) -> Labelled:
    """The labelled paragraphs of a paragraph table, without folds; errors as for `check_names`."""
    check_names(frame, topics)
    return Labelled(labelled_rows(frame, topics), topics)


def read_labelled(paths: Paths, topics: Topics) -> Labelled:
    """Read the labelled paragraphs of a project, without folds and sample, as fits read them."""
    labels = read_columns(paths.labels, LABELS_SCHEMA)
    frame = with_labels(read_paragraphs(paths.paragraphs), labels)
    return replace(labelled_in(frame, topics), weak=read_columns(paths.weak, WEAK_SCHEMA))


def read_sampled(paths: Paths, topics: Topics) -> Labelled:
    """Read the labelled paragraphs of a project with their folds and sample."""
    data = read_labelled(paths, topics)
    rows = with_sample(data.rows, read_columns(paths.sample, SAMPLE_SCHEMA))
    return replace(data, rows=rows, folds=read_parquet(paths.folds))


def make_pool(paragraphs: pd.DataFrame, rows: pd.DataFrame, most: int, seed: int) -> Pool:
    """Draw a pool of paragraphs that have no label, with at most `most` distinct texts.

    `rows` are the labelled rows of the paragraph table. Boilerplate may be drawn, and a text that a
    labelled row has, too. A drawn text keeps a row for each of its articles.
    """
    unlabelled = paragraphs[~paragraphs["id"].isin(rows["id"])]
    unlabelled = unlabelled.drop_duplicates(["article", "text"])
    texts = unlabelled["text"].unique()
    if len(texts) > most:
        drawn = np.random.default_rng(seed).choice(len(texts), most, replace=False)
        unlabelled = unlabelled[unlabelled["text"].isin(texts[drawn])]
    columns = ["article", "text"]
    return Pool(rows[columns], unlabelled[columns])
