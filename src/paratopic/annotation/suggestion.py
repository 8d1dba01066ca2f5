"""Choose paragraphs to label: doubtful ones that differ, matches of a search, or a random draw.

A suggestion has the paragraph, its neighbours and, unless it is hidden, the model's prediction.

A draw may mix suggestions with paragraphs drawn at random. It records the chance of each
paragraph, from which `labels.sample` computes the weight of its label. This module does not read
labels.csv, write files or ask people.
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
from paratopic.corpus.table import has_hand_label, passages_for, targets_of
from paratopic.inference.model import Model
from paratopic.inference.modes import Array, Features, Integers, Scores, Targets
from paratopic.labels.log import ARTICLE
from paratopic.labels.sample import RANDOM_SHARE, n_texts
from paratopic.project.topics import Pattern

# Neighbouring paragraphs that are shown on each side.
N_NEIGHBOURS = 2
# Candidates for each paragraph that is chosen.
CANDIDATES = 10
# Smallest weight of a row in the clustering: k-means needs weights above zero.
SMALLEST_WEIGHT = 1e-6
# Texts that are scored at a time: the features of all of them would take gigabytes.
BATCH_SIZE = 2048
# `Label.drawn` begins with this chance if a paragraph is drawn at random from the unlabelled ones.
RANDOM_DRAW = "1"


@dataclass(frozen=True)
class Suggestion:
    """A paragraph to label.

    Parameters
    ----------
    before, after
        Texts of the neighbouring paragraphs in the article, at most two on each side.
    scores
        Probability of each topic; empty if no model has scored the paragraph, or if the prediction
        is hidden from the annotator.
    reason
        Why the paragraph should be labelled; "" if only because the model is unsure.
    title
        Title of the article; "" for none.
    drawn
        How the paragraph was chosen, as in `Label.drawn`; "" if it is not known.
    when
        Time that a vote in a sheet gets, as in `Label.when`. It is later than all labels that
        existed when the sheet was written; "" for none.
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


def make_suggestions(
    frame: pd.DataFrame, drawn: Mapping[str, str], model: Model | None = None
) -> list[Suggestion]:
    """Make a suggestion of each paragraph in `drawn`, in this order, without `reason` and `when`.

    Parameters
    ----------
    frame
        Paragraph table with all paragraphs of the articles; an id that it lacks is a KeyError.
    drawn
        Paragraph id → how it was chosen (`Label.drawn`), in the order in which people label them.
    model
        Model that predicts the paragraphs; with None, the default, suggestions have no scores.
    """
    places = frame.set_index("id").loc[list(drawn), ["article", "heading"]].to_numpy()
    passages = passages_for(frame, drawn)
    suggestions = [
        Suggestion(
            id_,
            article,
            heading,
            text=passage.text,
            before=passage.before[-N_NEIGHBOURS:],
            after=passage.after[:N_NEIGHBOURS],
            title=passage.title,
            drawn=drawn[id_],
        )
        for id_, (article, heading), passage in zip(drawn, places, passages, strict=True)
    ]
    if model is None:
        return suggestions
    return [
        replace(item, scores=prediction.scores, topics=prediction.topics, sure=prediction.sure)
        for item, prediction in zip(suggestions, model.predict(passages), strict=True)
    ]


def suggest(
    frame: pd.DataFrame, voted: Collection[str], model: Model, n: int, seed: int
) -> dict[str, str]:
    """Suggest unlabelled paragraphs that a model is unsure about and that differ from each other.

    `choose` selects among `unlabelled_rows` by `Mode.uncertainty` and by their embeddings.

    Returns
    -------
    Id → `Label.drawn`, which is "", of at most n paragraphs, the most uncertain first. Those with a
    near-duplicate that has a label, a vote (`voted`) or a smaller id come after all others.
    """
    rows = unlabelled_rows(frame, voted)
    if rows.empty:
        return {}
    texts = passages_for(frame, rows["id"])
    scores = np.concatenate([model.predict_proba(texts[batch]) for batch in _batches(len(texts))])

    chosen: list[int] = []
    is_new = _is_new(frame, voted, rows)
    for candidates in (np.flatnonzero(is_new), np.flatnonzero(~is_new)):
        if len(chosen) == n:
            break

        def embed_rows(numbers: Integers, candidates: Integers = candidates) -> Features:
            return model.embed([texts[number] for number in candidates[numbers]])

        doubt = model.mode.uncertainty(scores[candidates])
        numbers = choose(doubt, embed_rows, n - len(chosen), seed)
        chosen += candidates[numbers].tolist()
    return dict.fromkeys(rows["id"].iloc[chosen], "")


def _batches(n: int) -> Iterator[slice]:
    return (slice(start, start + BATCH_SIZE) for start in range(0, n, BATCH_SIZE))


def choose(doubt: Array, embed: Callable[[Integers], Features], n: int, seed: int) -> Integers:
    """Choose n rows with high doubt that differ from each other.

    K-means groups the 10 n rows with the highest doubt into n clusters, and weights each row by
    its doubt. The row nearest to each centre is chosen (Zhdanov 2019,
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
    return candidates[_nearest_to_centres(embed(candidates), doubt[candidates], n, seed)]


def _nearest_to_centres(features: Features, doubt: Array, n: int, seed: int) -> list[int]:
    """Numbers of n rows: the nearest to the centre of each of n clusters, in ascending order.

    There must be n rows or more. K-means weighs them by their doubt. If equal rows leave fewer
    clusters, the first of the other rows are added.
    """
    from sklearn.cluster import KMeans  # It is slow to load, and random draws do not need it.
    from threadpoolctl import threadpool_limits

    weights = np.maximum(doubt, SMALLEST_WEIGHT)
    with threadpool_limits(1):  # One thread sums in one order, so that all machines agree.
        means = KMeans(n, n_init=3, random_state=seed).fit(features, sample_weight=weights)
        distances = means.transform(features)
    nearest = {
        int(np.where(means.labels_ == cluster, distances[:, cluster], np.inf).argmin())
        for cluster in np.unique(means.labels_)
    }
    remaining = (row for row in range(len(doubt)) if row not in nearest)
    return sorted([*nearest, *(next(remaining) for _ in range(n - len(nearest)))])


def _is_new(
    frame: pd.DataFrame, voted: Collection[str], rows: pd.DataFrame
) -> npt.NDArray[np.bool_]:
    """Whether each of m unlabelled rows, (m,), differs from all labelled and all earlier rows.

    Texts that differ only in a few words or in numbers are near-duplicates. The first of them is
    new, unless one of them has a label.
    """
    labelled = frame["text"][has_label(frame, voted)]
    texts = pd.concat([labelled, rows["text"]]).str.replace(r"\d", "0", regex=True)
    return ~pd.Series(near_duplicates(texts.tolist())).duplicated().to_numpy()[len(labelled) :]


def search(
    frame: pd.DataFrame,
    voted: Collection[str],
    contains: str,
    topics: Sequence[str],
    model: Model | None,
    n: int,
    seed: int,
) -> dict[str, str]:
    """Search paragraphs without a hand label or vote (`voted`) for a text; sort them by topics.

    Paragraphs with a weak label are searched, too; boilerplate and copies of texts with a hand
    label are not. Of equal texts, only the first counts.

    Parameters
    ----------
    contains
        Text or regular expression, as for `match_texts`; "" matches all.
    topics
        Names of the model's topics, which take turns (`search_order`): each time the most probable
        text, then the least sure one. Without topics or without a model, the order is random.

    Returns
    -------
    Id → `Label.drawn`, which is "", of at most n paragraphs in this order, except that
    near-duplicates of labelled or earlier ones come after all others.
    """
    rows = unlabelled_rows(frame, voted)
    rows = rows[match_texts(rows["text"], contains)]
    if rows.empty:
        return {}
    if model is None or not topics:
        order = _generator(seed, voted).permutation(len(rows))
    else:
        texts = passages_for(frame, rows["id"])
        batches = (model.predict(texts[batch]) for batch in _batches(len(texts)))
        predictions = list(chain.from_iterable(batches))
        scores = pd.DataFrame([prediction.scores for prediction in predictions])[list(topics)]
        predicted = targets_of([prediction.topics for prediction in predictions], topics)
        order = search_order(scores.to_numpy(), predicted)
    rows = rows.iloc[order]
    is_new = _is_new(frame, voted, rows)
    ids = [*rows["id"][is_new], *rows["id"][~is_new]]
    return dict.fromkeys(ids[:n], "")


def match_texts(texts: Iterable[str], wanted: str) -> list[bool]:
    """Whether each text contains a text, or a match of a regular expression.

    A regular expression stands between slashes. Case is ignored, and so are different ways to write
    the same letters in Unicode. A `UserError` reports an expression that is invalid or too slow.

    >>> match_texts(["TARIFFS on steel", "Steel"], "tariff"), match_texts(["ESG"], "/^e.g$/")
    ([True, False], [True])
    """
    is_expression = len(wanted) > 2 and wanted[0] == wanted[-1] == "/"
    plain = normalize("NFKC", wanted)
    # The flag (?f) makes ß equal to ss.
    expression = plain[1:-1] if is_expression else f"(?f){re.escape(plain)}"
    pattern = Pattern(expression, f"--contains {wanted}")
    return [pattern.matches(normalize("NFKC", text)) for text in texts]


def search_order(scores: Scores, predicted: Targets) -> Integers:
    """Sort m texts for a search for topics.

    The topics take turns. Each turn takes the topic's most probable text, then the next one at
    the decision boundary: the most probable text without the topic, or the least probable with it.

    Parameters
    ----------
    scores, predicted
        (m, t) probabilities of these topics, and whether they are predicted.

    Returns
    -------
    (m,) numbers of the texts.
    """
    queues: list[Integers] = []
    for probabilities, has_topic in zip(scores.T, predicted.T, strict=True):
        ranking = np.argsort(-probabilities, kind="stable")
        is_positive = has_topic[ranking]
        boundary = _interleave(ranking[~is_positive], ranking[is_positive][::-1])
        queues += [ranking, boundary]
    return _interleave(*queues)


def _interleave(*queues: Integers) -> Integers:
    """Unique numbers: the first of each queue, then the second of each, and so on."""
    numbers = chain.from_iterable(zip_longest(*map(np.ndarray.tolist, queues)))
    return np.array(list(dict.fromkeys(n for n in numbers if n is not None)), dtype=np.int64)


def unlabelled_rows(frame: pd.DataFrame, voted: Collection[str]) -> pd.DataFrame:
    """Select the first row of each text without a hand label, and sort these rows by id.

    Boilerplate is left out, and weak labels do not count. `voted` has the ids of paragraphs with a
    vote in labels.csv, which may be newer than `frame`; it counts as a hand label.
    """
    texts = frame["text"][has_label(frame, voted)]
    rows = frame[~(frame["text"].isin(texts) | frame["boilerplate"])]
    return rows.drop_duplicates("text").sort_values("id")


def draw_random(frame: pd.DataFrame, voted: Collection[str], n: int, seed: int) -> dict[str, str]:
    """Draw at most n unlabelled paragraphs at random: id → `Label.drawn`, in the order of the draw.

    The number of paragraphs with a vote is part of the seed.
    """
    ids = unlabelled_rows(frame, voted)["id"]
    order = _generator(seed, voted).permutation(len(ids))
    return dict.fromkeys(ids.iloc[order[:n]], f"{RANDOM_DRAW} of {n_texts(frame)}")


def draw_from_groups(
    frame: pd.DataFrame,
    voted: Collection[str],
    members: Mapping[str, Collection[str]],
    n: int,
    seed: int,
) -> dict[str, str]:
    """Draw at most n unlabelled paragraphs, each at random from the group with the fewest labels.

    A label counts by its effective count; a drawn paragraph, or a newer vote (`voted`), as 1.
    `members` has the distinct texts of each group, also labelled ones, by its name (`Label.group`).
    The result is id → `Label.drawn`, such as "1 of 44 in decade=1970s" for a group of 44 texts, in
    the order of the draw.
    """
    id_of_text = unlabelled_rows(frame, voted).set_index("text")["id"].to_dict()
    # Votes that are newer than the effective counts count in full.
    has_vote = frame["id"].isin(list(voted)).astype(float)
    counts = frame["effective_count"].fillna(0.0).where(has_hand_label(frame), has_vote)
    count_of_text = counts.groupby(frame["text"]).sum().to_dict()
    rng = _generator(seed, voted)
    groups = [name for name in sorted(members) if not id_of_text.keys().isdisjoint(members[name])]
    groups = [groups[number] for number in rng.permutation(len(groups))]
    queues: list[list[str]] = []
    totals = np.zeros(len(groups))
    for number, group in enumerate(groups):
        ids = sorted(id_of_text[text] for text in members[group] if text in id_of_text)
        queues.append([ids[place] for place in rng.permutation(len(ids))])
        totals[number] = fsum(count_of_text[text] for text in members[group])
    drawn: dict[str, str] = {}
    while len(drawn) < n and any(queues):
        number = int(totals.argmin())
        id_ = queues[number].pop()
        if id_ not in drawn:  # A paragraph of two groups is drawn from one of them.
            drawn[id_] = f"{RANDOM_DRAW} of {len(members[groups[number]])} in {groups[number]}"
            totals[number] += 1
        if not queues[number]:
            totals[number] = np.inf
    return drawn


def draw_articles(frame: pd.DataFrame, voted: Collection[str], n: int, seed: int) -> dict[str, str]:
    """Draw whole articles without a hand label or vote (`voted`) at random, until n ids are drawn.

    The result, id → `Label.drawn`, has n ids or more, article by article, without boilerplate and
    repeated texts. "article of 940" means that the corpus has 940 distinct paragraphs (`n_texts`).
    """
    labelled_articles = frame["article"][has_label(frame, voted)]
    rows = frame[~(frame["article"].isin(labelled_articles) | frame["boilerplate"])]
    rows = rows.sort_values(["article", "position"])
    articles = [article for _, article in rows.groupby("article")]
    id_of_text: dict[str, str] = {}
    for number in _generator(seed, voted).permutation(len(articles)):
        if len(id_of_text) >= n:
            break
        for id_, text in articles[number][["id", "text"]].itertuples(index=False):
            id_of_text.setdefault(text, id_)
    return dict.fromkeys(id_of_text.values(), f"{ARTICLE} of {n_texts(frame)}")


def draw_mixed(
    frame: pd.DataFrame, voted: Collection[str], suggested: Iterable[str], n: int, seed: int
) -> dict[str, str]:
    """Draw at most n unlabelled paragraphs, at random or, more often, the next suggestion.

    The chance of a random draw is `RANDOM_SHARE`. `suggested`, which is no iterator, has the ids of
    at least min(n, number of unlabelled) suggestions, in the order of `suggest`.

    Returns
    -------
    Id → `Label.drawn`, in the order of the draw: "0.3 of 940" if only a random draw could draw the
    paragraph, and a larger chance if it was the next suggestion.
    """
    rng = _generator(seed, voted)
    remaining = list(unlabelled_rows(frame, voted)["id"])
    drawn: dict[str, str] = {}
    total = n_texts(frame)
    for _ in range(min(n, len(remaining))):
        suggestion = next(id_ for id_ in suggested if id_ not in drawn)
        is_random = rng.random() < RANDOM_SHARE
        chosen = remaining[rng.integers(len(remaining))] if is_random else suggestion
        # A suggestion has both chances, because a random draw can also draw it.
        chance = RANDOM_SHARE
        if chosen == suggestion:
            chance += (1 - RANDOM_SHARE) * len(remaining)
        drawn[chosen] = f"{chance:.6g} of {total}"
        remaining.remove(chosen)
    return drawn


def has_label(frame: pd.DataFrame, voted: Collection[str]) -> pd.Series:
    """Whether each paragraph, (n,), has a hand label or a vote."""
    return has_hand_label(frame) | frame["id"].isin(voted)


def _generator(seed: int, voted: Collection[str]) -> np.random.Generator:
    """Random generator whose draws change only when somebody labels."""
    return np.random.default_rng(np.random.SeedSequence((seed, len(voted))))
