"""Paragraphs to label: doubtful ones that differ, those of a search, or drawn at random.

Each comes with its neighbours in the article and, if it is to be seen, what the model thinks of it.

Suggestions may be mixed with draws at random, by chances that are known: `labels.sample` weighs
their labels. This module does not read labels.csv, write files or ask people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from math import fsum
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.duplicates import near_duplicates
from paratopic.corpus.table import has_hand_label, targets_of, texts_of
from paratopic.inference.model import Model
from paratopic.inference.modes import Array, Features, Integers, Scores, Targets
from paratopic.labels.log import ARTICLE
from paratopic.labels.sample import RANDOM_SHARE, n_texts
from paratopic.project.topics import Pattern

# Number of neighbouring paragraphs that are shown on each side.
SHOWN = 2
# Number of candidates for each paragraph that is to be chosen.
CANDIDATES = 10
# Smallest weight of a row in the clustering: k-means needs weights above zero.
SMALLEST_WEIGHT = 1e-6
# Texts that are scored at a time.
STEP = 2048
# How `Label.drawn` begins if a paragraph is drawn at random from those that are left.
AT_RANDOM = "1"


@dataclass(frozen=True)
class Suggestion:
    """A paragraph to label.

    Parameters
    ----------
    before, after
        Texts of the neighbouring paragraphs in the article, at most two on each side.
    scores
        Probability of each topic; empty if no model has scored the paragraph, or if whoever labels
        it is not to see what the model thinks.
    reason
        Why the paragraph should be labelled; "" if only because the model is unsure.
    title
        Title of the article; "" for none.
    drawn
        How the paragraph was chosen, as in `Label.drawn`; "" where it is not known.
    when
        Time of an answer in a sheet, as in `Label.when`: after the labels that were there when it
        was written; "" for none.
    """

    id: str
    article: str
    heading: str
    text: str
    before: Sequence[str]
    after: Sequence[str]
    scores: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    topics: tuple[str, ...] = ()
    sure: bool = False
    title: str = ""
    drawn: str = ""
    when: str = ""

    @property
    def topic(self) -> str:
        """The most probable topic, even if the model predicts none; "" without scores."""
        return max(self.scores, key=self.scores.__getitem__, default="")

    @property
    def confidence(self) -> float:
        """Probability of the most probable topic, 0 to 1; 0 without scores."""
        return self.scores.get(self.topic, 0.0)


def in_context(
    frame: pd.DataFrame, drawn: Mapping[str, str], model: Model | None = None
) -> list[Suggestion]:
    """Look up paragraphs and their neighbours in the paragraph table.

    Parameters
    ----------
    drawn
        Paragraph id → how it was chosen (`Label.drawn`), in the order in which they are to be
        shown.
    model
        Model whose predictions they get; none by default.
    """
    places = frame.set_index("id").loc[list(drawn), ["article", "heading"]].to_numpy()
    texts = texts_of(frame, drawn)
    each = zip(drawn.items(), places, texts, strict=True)
    suggestions = [
        Suggestion(
            id_,
            article,
            heading,
            text=read.text,
            before=read.before[-SHOWN:],
            after=read.after[:SHOWN],
            title=read.title,
            drawn=how,
        )
        for (id_, how), (article, heading), read in each
    ]
    if model is None:
        return suggestions
    return [
        replace(suggestion, scores=answer.scores, topics=answer.topics, sure=answer.sure)
        for suggestion, answer in zip(suggestions, model.predict(texts), strict=True)
    ]


def suggest(
    frame: pd.DataFrame, judged: Collection[str], model: Model, n: int, seed: int
) -> dict[str, str]:
    """Suggest the unlabelled paragraphs that are most worth labelling.

    Parameters
    ----------
    model
        Model whose scores tell which paragraphs are uncertain, and whose embeddings tell which are
        alike.

    Returns
    -------
    Id → `Label.drawn`, which is "", of at most n paragraphs, the most uncertain first. Those that
    are like one with a label, or like one before them, come after all others.
    """
    rows = unlabelled(frame, judged)
    if rows.empty:
        return {}
    texts = texts_of(frame, rows["id"])
    scores = np.concatenate([model.predict_proba(texts[part]) for part in _steps(len(texts))])

    chosen: list[int] = []
    is_new = _is_new(frame, judged, rows)
    for part in (np.flatnonzero(is_new), np.flatnonzero(~is_new)):
        if len(chosen) == n:
            break

        def embed_part(numbers: Integers, part: Integers = part) -> Features:
            return model.embed([texts[number] for number in part[numbers]])

        places = choose(model.mode.doubt(scores[part]), embed_part, n - len(chosen), seed)
        chosen += part[places].tolist()
    return dict.fromkeys(rows["id"].iloc[chosen], "")


def _steps(n: int) -> Iterator[slice]:
    """Parts of n texts, to score one at a time: the features of all would take gigabytes."""
    return (slice(at, at + STEP) for at in range(0, n, STEP))


def choose(doubt: Array, embed: Callable[[Integers], Features], n: int, seed: int) -> Integers:
    """Choose the n rows that are most worth labelling.

    The 10 n rows with the highest doubt are clustered into n by k-means, each row weighted by its
    doubt. The row nearest to each centre is chosen (Zhdanov 2019,
    https://arxiv.org/abs/1901.05954).

    Parameters
    ----------
    doubt
        (m,) doubt about each row, from 0 on.
    embed
        Function from row numbers (r,) to the features of these rows, (r, d).

    Returns
    -------
    (min(n, m),) row numbers, the most uncertain row first.
    """
    order = np.argsort(-doubt, kind="stable")
    if n >= len(order):
        return order
    candidates = order[: CANDIDATES * n]
    return candidates[_central(embed(candidates), doubt[candidates], n, seed)]


def _central(features: Features, doubt: Array, n: int, seed: int) -> list[int]:
    """Numbers of n of the rows, in ascending order: the one nearest to the centre of each cluster.

    Equal rows can leave fewer than n clusters; the first of the remaining rows then fill up.
    """
    from sklearn.cluster import KMeans  # slow to load, and nothing that is drawn needs it
    from threadpoolctl import threadpool_limits

    weights = np.maximum(doubt, SMALLEST_WEIGHT)
    with threadpool_limits(1):  # one order of summation, so that all machines choose the same
        means = KMeans(n, n_init=3, random_state=seed).fit(features, sample_weight=weights)
        distances = means.transform(features)
    nearest = {
        int(np.where(means.labels_ == cluster, distances[:, cluster], np.inf).argmin())
        for cluster in np.unique(means.labels_)
    }
    remaining = (row for row in range(len(doubt)) if row not in nearest)
    return sorted([*nearest, *(next(remaining) for _ in range(n - len(nearest)))])


def _is_new(
    frame: pd.DataFrame, judged: Collection[str], rows: pd.DataFrame
) -> npt.NDArray[np.bool_]:
    """Whether each of m rows without a label, (m,), is unlike those that come before it.

    Of texts that differ in few words or in numbers alone, the first is, unless one has a label.
    """
    labelled = frame["text"][has_label(frame, judged)]
    texts = pd.concat([labelled, rows["text"]]).str.replace(r"\d", "0", regex=True)
    return ~pd.Series(near_duplicates(texts.tolist())).duplicated().to_numpy()[len(labelled) :]


def search(
    frame: pd.DataFrame,
    judged: Collection[str],
    contains: str,
    topics: Sequence[str],
    model: Model | None,
    n: int,
    seed: int,
) -> dict[str, str]:
    """Look for unlabelled paragraphs that have a text in them, or that may have certain topics.

    Parameters
    ----------
    contains
        What they contain, as for `containing`; "" for anything.
    topics
        Names of the model's topics, of which those come first that `by_topic` has first. Without
        any, or without a model, the order is a random one.

    Returns
    -------
    As for `suggest`, in this order.
    """
    rows = unlabelled(frame, judged)
    rows = rows[containing(rows["text"], contains)]
    if rows.empty:
        return {}
    if model is None or not topics:
        order = _generator(seed, judged).permutation(len(rows))
    else:
        texts = texts_of(frame, rows["id"])
        steps = _steps(len(texts))
        answers = [answer for part in steps for answer in model.predict(texts[part])]
        scores = np.array([[answer.scores[topic] for topic in topics] for answer in answers])
        order = by_topic(scores, targets_of([answer.topics for answer in answers], topics))
    rows = rows.iloc[order]
    is_new = _is_new(frame, judged, rows)
    return dict.fromkeys([*rows["id"][is_new], *rows["id"][~is_new]][:n], "")


def containing(texts: Iterable[str], wanted: str) -> list[bool]:
    """Say which texts contain a text, or something that matches a regular expression.

    Upper and lower case do not matter, nor do the ways in which Unicode writes the same letters.

    >>> containing(["TARIFFS on steel", "Steel"], "tariff"), containing(["ESG"], "/^e.g$/")
    ([True, False], [True])

    Parameters
    ----------
    wanted
        The text, or the regular expression between slashes.

    Raises
    ------
    UserError
        It is no regular expression, or takes too long.
    """
    is_expression = len(wanted) > 2 and wanted[0] == wanted[-1] == "/"
    plain = normalize("NFKC", wanted)
    # (?f) also takes ß for ss.
    expression = plain[1:-1] if is_expression else f"(?f){re.escape(plain)}"
    pattern = Pattern(expression, f"--contains {wanted}")
    return [pattern.is_in(normalize("NFKC", text)) for text in texts]


def by_topic(scores: Scores, predicted: Targets) -> Integers:
    """Put m texts in the order in which to look through them for some of the topics.

    Of each topic in turn come the most probable text and the next one on the border: the most
    probable of which it is not predicted, or the least probable of which it is.

    Parameters
    ----------
    scores, predicted
        (m, t) probabilities of these topics, and whether they are predicted.

    Returns
    -------
    (m,) numbers of the texts.
    """
    queues: list[Integers] = []
    for of_topic, is_predicted in zip(scores.T, predicted.T, strict=True):
        falling = np.argsort(-of_topic, kind="stable")
        inside = is_predicted[falling]
        queues += [falling, _in_turn(falling[~inside], falling[inside][::-1])]
    return _in_turn(*queues)


def _in_turn(*queues: Integers) -> Integers:
    """Numbers of queues, the first of each, then the second of each and so on, each once."""
    every = chain.from_iterable(zip_longest(*map(np.ndarray.tolist, queues)))
    return np.array(list(dict.fromkeys(n for n in every if n is not None)), dtype=np.int64)


def unlabelled(frame: pd.DataFrame, judged: Collection[str]) -> pd.DataFrame:
    """Select the rows that are left to label: of each text without a label, the first one.

    They are sorted by id. Boilerplate is not among them, and weak labels do not count.

    Parameters
    ----------
    judged
        Ids of the paragraphs with an answer in labels.csv, which may be newer than `frame`.
    """
    texts = frame["text"][has_label(frame, judged)]
    rows = frame[~(frame["text"].isin(texts) | frame["boilerplate"])]
    return rows.drop_duplicates("text").sort_values("id")


def draw_random(frame: pd.DataFrame, judged: Collection[str], n: int, seed: int) -> dict[str, str]:
    """Draw at most n unlabelled paragraphs at random: id → `Label.drawn`, in the order of the draw.

    The number of judged paragraphs is part of the seed.
    """
    ids = unlabelled(frame, judged)["id"]
    order = _generator(seed, judged).permutation(len(ids))
    return dict.fromkeys(ids.iloc[order[:n]], f"{AT_RANDOM} of {n_texts(frame)}")


def draw_from_groups(
    frame: pd.DataFrame,
    judged: Collection[str],
    members: Mapping[str, Collection[str]],
    n: int,
    seed: int,
) -> dict[str, str]:
    """Draw as `draw_random` does from groups, always next from the one with the fewest labels.

    Labels that were not drawn at random count in part.

    Parameters
    ----------
    members
        Name of each group (`Label.group`) → its texts.
    """
    left = unlabelled(frame, judged).set_index("text")["id"].to_dict()
    # What was answered since labels were weighed counts in full.
    answered = frame["id"].isin(list(judged)).astype(float)
    counts = frame["effective_count"].fillna(0.0).where(has_hand_label(frame), answered)
    of_text = counts.groupby(frame["text"]).sum().to_dict()
    rng = _generator(seed, judged)
    groups = [group for group in sorted(members) if not left.keys().isdisjoint(members[group])]
    groups = [groups[number] for number in rng.permutation(len(groups))]
    piles = [sorted(left[text] for text in members[group] if text in left) for group in groups]
    piles = [[pile[place] for place in rng.permutation(len(pile))] for pile in piles]
    totals = np.array([fsum(of_text[text] for text in members[group]) for group in groups])
    drawn: dict[str, str] = {}
    while len(drawn) < n and any(piles):
        number = int(totals.argmin())
        id_ = piles[number].pop()
        if id_ not in drawn:  # from another group that it is in
            drawn[id_] = f"{AT_RANDOM} of {len(members[groups[number]])} in {groups[number]}"
            totals[number] += 1
        if not piles[number]:
            totals[number] = np.inf
    return drawn


def draw_articles(
    frame: pd.DataFrame, judged: Collection[str], n: int, seed: int
) -> dict[str, str]:
    """Draw whole articles at random from those in which nothing has a label, up to n paragraphs.

    The last article may exceed n. Of the paragraphs it gives id → `Label.drawn`, each text once, in
    the order of the articles and positions.
    """
    begun = frame["article"][has_label(frame, judged)]
    rows = frame[~(frame["article"].isin(begun) | frame["boilerplate"])]
    rows = rows.sort_values(["article", "position"])
    in_articles = [part for _, part in rows.groupby("article")]
    id_of: dict[str, str] = {}
    for number in _generator(seed, judged).permutation(len(in_articles)):
        if len(id_of) >= n:
            break
        for id_, text in in_articles[number][["id", "text"]].itertuples(index=False):
            id_of.setdefault(text, id_)
    return dict.fromkeys(id_of.values(), f"{ARTICLE} of {n_texts(frame)}")


def draw_mixed(
    frame: pd.DataFrame, judged: Collection[str], suggested: Iterable[str], n: int, seed: int
) -> dict[str, str]:
    """Draw suggested paragraphs, with some at random among them, so that all have a known chance.

    Parameters
    ----------
    suggested
        Ids of min(n, number of unlabelled) suggestions or more, in the order of `suggest`.

    Returns
    -------
    As for `draw_random`.
    """
    rng = _generator(seed, judged)
    left = list(unlabelled(frame, judged)["id"])
    drawn: dict[str, str] = {}
    total = n_texts(frame)
    for _ in range(min(n, len(left))):
        suggestion = next(id_ for id_ in suggested if id_ not in drawn)
        at_random = rng.random() < RANDOM_SHARE
        chosen = left[rng.integers(len(left))] if at_random else suggestion
        # However it was drawn: a suggestion can also be drawn at random.
        chance = RANDOM_SHARE
        if chosen == suggestion:
            chance += (1 - RANDOM_SHARE) * len(left)
        drawn[chosen] = f"{chance:.6g} of {total}"
        left.remove(chosen)
    return drawn


def has_label(frame: pd.DataFrame, judged: Collection[str]) -> pd.Series:
    """Which paragraphs, (n,), people have labelled or answered on."""
    return has_hand_label(frame) | frame["id"].isin(judged)


def _generator(seed: int, judged: Collection[str]) -> np.random.Generator:
    """The same draw until somebody labels."""
    return np.random.default_rng(np.random.SeedSequence((seed, len(judged))))
