"""Training examples and their weights, the choice of context weights, and the contract of a fit.

Both kinds of model are fitted by a `Fit`, which returns a `Fitted`. The fits are in `baseline` and
`transformer`. With few labels, a model reads context with prior weights. Labels of enough articles
can choose other weights, or no context.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.effective import small_sample_design_effects
from paratopic.corpus.folds import deal
from paratopic.corpus.labelled import Labelled
from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.manifest import ABOUT, write_manifest
from paratopic.inference.modes import (
    Array,
    Calibration,
    Features,
    Integers,
    Scores,
    Targets,
    mode_of,
)
from paratopic.labels.weak import combine_votes, estimate_sources
from paratopic.project.files import atomic_write
from paratopic.project.languages import Audience, find_audience
from paratopic.project.texts import NO_TEXT, Texts
from paratopic.project.topics import Topics
from paratopic.training.calibration import measure
from paratopic.training.settings import CONTEXT, EVIDENCE

# Name of a metric → how close a saved model's predictions are to those before it was saved.
Parity = dict[str, float]
# Called with the work done so far, in fits: 0.5 is half of the first fit.
Advance = Callable[[float], None]


def silent(done: float) -> None:
    """Ignore the progress."""


def draw_at_most(most: int, n: int, seed: int) -> Integers:
    """Draw at most `most` of the numbers 0 to n - 1 at random; they stay in their order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


class SoftLabels(NamedTuple):
    """Labels of n texts, some of which have only weak labels.

    Attributes
    ----------
    by_hand
        (n,) which texts have a label by hand.
    ratio
        (n, K) likelihood ratios: how many times as probable the votes of weak sources make each
        outcome of each question (`Topics.labels`). They have no meaning for labels by hand.
    weights
        (n, r) weight of the label for each question, 0 to 1.
    """

    by_hand: Targets
    ratio: Array
    weights: Array


@dataclass(frozen=True)
class Examples:
    """Training examples.

    Parameters
    ----------
    texts
        n texts, with or without context.
    targets
        (n, k) whether each text has each topic.
    groups
        (n,) group numbers; no inner fold divides a group.
    articles
        (n,) numbers of the articles that the texts are from.
    soft
        The labels of the texts if some are weak; None, the default, if all are by hand.
    unlabelled
        The pool: texts without a label; none by default.
    """

    texts: Texts
    targets: Targets
    groups: Integers
    articles: Integers
    soft: SoftLabels | None = field(default=None, kw_only=True)
    unlabelled: Sequence[str] = field(default=(), kw_only=True)

    @classmethod
    def make(
        cls, data: Labelled, part: Integers | slice, texts: Texts, unlabelled: Sequence[str]
    ) -> Examples:
        """Make training examples of a part of the rows, with their texts and those of a pool.

        `texts` are of the part, not of all rows. If a label of the part is weak, the reliability of
        weak sources is estimated from the part's hand labels only, and their votes give the targets
        of weak labels. Rows whose labels have no weight are left out.
        """
        data = data.select(part)
        articles = pd.factorize(data.rows["article"])[0].astype(np.int64)
        examples = cls(texts, data.targets, data.groups, articles, unlabelled=unlabelled)
        if data.by_hand.all():
            return examples
        by_hand = data.by_hand[:, None]
        sources = estimate_sources(data.rows, data.weak, data.topics)
        combined = combine_votes(data.rows, data.weak, sources)
        soft = SoftLabels(data.by_hand, combined.ratio, np.where(by_hand, 1.0, combined.weights))
        targets = np.where(by_hand, data.targets, combined.targets)
        examples = replace(examples, targets=targets, soft=soft)
        return examples.select(np.flatnonzero(examples.sample_weight > 0))

    @property
    def by_hand(self) -> Targets:
        """Topics of the examples with a label by hand, (m, k)."""
        return self.targets if self.soft is None else self.targets[self.soft.by_hand]

    @property
    def sample_weight(self) -> Array:
        """Weight of each text's label, (n,) from 0 to 1: less than 1 if it is weak."""
        return np.ones(len(self.texts)) if self.soft is None else self.soft.weights.max(axis=1)

    def select(self, rows: Integers) -> Examples:
        """Select examples by their numbers; the pool stays."""
        return replace(
            self,
            texts=self.texts.select(rows),
            targets=self.targets[rows],
            groups=self.groups[rows],
            articles=self.articles[rows],
            soft=self.soft and SoftLabels._make(part[rows] for part in self.soft),
        )


@dataclass
class Fitted(ABC):
    """A trained model before it is saved.

    Parameters
    ----------
    history
        Course of the fit: two columns of numbers, such as step and loss.
    context
        Weights of the context that the model reads.
    notes
        Notes for users of the model, such as that it was fitted to a part of the texts.
    topics
        The codebook; topics without an example are predicted too.
    encoder
        Encoder that was fine-tuned, as params.yaml names it; None, the default, for none.
    """

    # Name in `project.kinds.KINDS`.
    KIND: ClassVar[str]

    history: pd.DataFrame
    context: ContextWeights
    notes: tuple[str, ...]
    topics: Topics
    encoder: str | None = field(default=None, kw_only=True)

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names in codebook order."""
        return self.topics.names

    @abstractmethod
    def predict_proba(self, texts: Texts) -> Scores:
        """Compute probabilities (n, k) of n texts; see `inference.model.Model.predict_proba`."""

    def scores(self, texts: Texts) -> tuple[Scores, Scores]:
        """Probabilities of n texts with context, and of the same texts without it."""
        scores = self.predict_proba(texts)
        if not self.context.reads(texts).any():
            return scores, scores
        return scores, self.predict_proba(texts.without_context)

    @abstractmethod
    def write(self, folder: Path) -> tuple[dict[str, object], Parity]:
        """Write the files that the kind's classifier reads into an empty folder.

        Returns
        -------
        settings
            Settings that the classifier needs in addition to these files, except the context.
        parity
            Metrics of how close predictions from these files are to this model's; empty if equal.
        """

    def audience(self, labelled: Sequence[str]) -> Audience:
        """Languages of the model, which was fitted to these labelled texts."""
        return find_audience(labelled, self.topics.descriptions, self.encoder)

    def save(self, folder: Path, calibration: Calibration, languages: Sequence[str] = ()) -> Parity:
        """Write a folder that `inference.model.load` opens, over an earlier one; return parity.

        A model always gives the same bytes. `languages` are its languages' codes; none by default.
        """
        with atomic_write(folder) as draft:
            draft.mkdir()
            parity = self.write_fit(draft, languages)
            write_manifest(draft, self.topics, asdict(calibration))
        return parity

    def write_fit(self, folder: Path, languages: Sequence[str]) -> Parity:
        """Write the files of `save` but the manifest into an empty folder; return parity.

        In its place, `ABOUT` has the kind, the languages, and the settings with the context.
        """
        settings, parity = self.write(folder)
        settings["context"] = asdict(self.context)
        about = {"kind": self.KIND, "languages": list(languages), "settings": settings}
        (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        # Libraries make weights readable for their owner only; they get the mode of other files.
        for weights in folder.rglob("*.safetensors"):
            weights.chmod((folder / ABOUT).stat().st_mode)
        return parity


# Fits one model to examples with a seed, and reports the share of the work done, 0 to 1.
Fit = Callable[[Examples, int, Advance], Fitted]


def evidence(examples: Examples, described: bool) -> Array:
    """Weigh each example against the topics' descriptions, if topics are described.

    Paragraphs of one article repeat each other, so `Examples.sample_weight` is divided by
    1 + (m - 1) / g for m labels in the article and g articles. It is multiplied by g / (g + 3), so
    that the descriptions count as three articles. In g, an article counts with the largest weight
    of its labels.

    Returns
    -------
    (n,) weights of the examples, each 0 to 1. If `described`, all paragraphs of a single article
    together weigh 1/4, and each of a thousand paragraphs from as many articles weighs almost 1.
    Otherwise they are `Examples.sample_weight`, which is below 1 for weak labels.
    """
    article, weight = examples.articles, examples.sample_weight
    if not described:
        return weight
    size = np.bincount(article, minlength=1)[article]
    g = _n_articles(article, weight)
    return weight * g / (g + EVIDENCE.description_articles) / small_sample_design_effects(size, g)


def share_of_labels(examples: Examples, described: bool) -> float:
    """Share of labels in the evidence: g / (g + 3), g as in `evidence`; 1 without descriptions."""
    g = _n_articles(examples.articles, examples.sample_weight)
    return g / (g + EVIDENCE.description_articles) if described else 1.0


def topics_are_rare(targets: Targets, topics: Topics) -> bool:
    """Whether half of the labels by hand, (n, k), or more are none of the topics, in mode single.

    It is False in mode multi or without labels. The encoder's tuning and the pool depend on it.
    """
    n_none = int((~mode_of(topics.mode).informative(targets)).sum())
    return n_none >= EVIDENCE.rare_share * max(len(targets), 1)


def description_weights(examples: Examples, n_outcomes: int) -> Array:
    """Weights of the topics' descriptions in the prior of a head on a tuned encoder.

    The more articles the encoder was tuned on for a topic, the less information its similarity to
    the description adds. With labels of g articles, a description weighs (3 + 1) / (3 + g), so 1
    with one article; an article counts with the largest weight of its labels. An outcome (a topic
    or none of them) without a label weighs 4 / 3, to compete with those that have labels. If no
    label has a topic, all weigh 1.

    Returns
    -------
    (n_outcomes,) factors, of the k topics and, if `n_outcomes` is k + 1, of none of them.
    """
    if not examples.targets.any():
        return np.ones(n_outcomes)
    none, weight = ~examples.targets.any(axis=1), examples.sample_weight
    outcomes = np.column_stack([examples.targets, none])[:, :n_outcomes]
    g = np.array([_n_articles(examples.articles[rows], weight[rows]) for rows in outcomes.T])
    return (EVIDENCE.description_articles + 1) / (EVIDENCE.description_articles + g)


def _n_articles(articles: Integers, weight: Array) -> float:
    """Number of articles, each counted with the largest weight of its labels."""
    return float(pd.Series(weight).groupby(articles).max().to_numpy().sum())


# Computes probabilities (m, k) of held-out examples by a head that was fitted to others, from the
# context weights, the numbers of the training examples and those of the held-out examples.
Score = Callable[[ContextWeights, Integers, Integers], Scores]

# Computes features (m, d) of texts without context.
Embed = Callable[[Sequence[str]], Features]


def choose_context(
    examples: Examples, topics: Topics, seed: int, score: Score, embed: Embed
) -> ContextWeights:
    """Choose the context weights by the log loss of held-out articles, after calibration.

    Neighbours get no weight if texts are no more similar to their own neighbours than to those of
    other texts, by their features from `embed`. `score(weights, train, test)` returns probabilities
    of the examples `test` by a head that is fitted to the examples `train`, both by their numbers.

    Returns
    -------
    `CONTEXT.prior`, or one of `CONTEXT.others` whose loss is lower by more than `CONTEXT.errors`
    standard errors. A choice needs `CONTEXT.least_articles` articles, and as many labels of one
    topic. Parts that no example has weigh 0. Without examples, `CONTEXT.prior` is unchanged.
    """
    if not len(examples.texts):
        return CONTEXT.prior
    places = {part: examples.texts.at(part) for part in ("heading", "title")}
    is_read = {part: bool((numbers != NO_TEXT).any()) for part, numbers in places.items()}
    is_read["neighbours"] = _are_coherent(examples.texts, seed, embed)
    candidates = [_masked(weights, is_read) for weights in (CONTEXT.prior, *CONTEXT.others)]
    prior, *others = dict.fromkeys(candidates)
    rows = draw_at_most(CONTEXT.most_examples, len(examples.texts), seed)
    targets, articles = examples.targets[rows], examples.articles[rows]
    # At least one topic has to be in as many rows as there are folds.
    most = int(targets.sum(axis=0).max(initial=0))
    if not others or min(len(np.unique(articles)), most) < CONTEXT.least_articles:
        return prior
    fold = deal(targets, articles, CONTEXT.least_articles, seed)

    def log_losses(weights: ContextWeights) -> Array:
        scores = np.zeros(targets.shape)
        for held_out in np.unique(fold):
            test = fold == held_out
            scores[test] = score(weights, rows[~test], rows[test])
        return measure(targets, scores, topics)[0]

    losses = np.array([log_losses(weights) for weights in (prior, *others)])
    best = int(losses.mean(axis=1).argmin())
    gain = losses[0] - losses[best]
    chance = CONTEXT.errors * gain.std() / np.sqrt(len(gain))
    return prior if gain.mean() <= chance else others[best - 1]


def _masked(weights: ContextWeights, is_read: Mapping[str, bool]) -> ContextWeights:
    """Context weights with 0 for each part that is not read."""
    kept = {part: weight for part, weight in asdict(weights).items() if is_read[part]}
    return ContextWeights(**kept)


def _are_coherent(texts: Texts, seed: int, embed: Embed) -> bool:
    """Whether texts are more similar to their own neighbours than to those of other texts.

    The neighbour of a text is the text after it or, without one, that before it. At most
    `CONTEXT.most_compared` are compared (`are_closer_to_own`). The result is True for a single text
    with a neighbour, and False without any neighbours.
    """
    before, after = texts.at("before")[:, 0], texts.at("after")[:, 0]
    near = np.where(after == NO_TEXT, before, after)
    rows = np.flatnonzero(near != NO_TEXT)
    if len(rows) < 2:
        return bool(len(rows))
    rows = rows[draw_at_most(CONTEXT.most_compared, len(rows), seed)]
    features = embed([texts.distinct[number] for number in texts.numbers[rows].tolist()])
    near_features = embed([texts.distinct[number] for number in near[rows].tolist()])
    products = features @ near_features.T
    similarity = products if isinstance(products, np.ndarray) else products.toarray()
    return are_closer_to_own(similarity, np.eye(len(rows), dtype=bool), CONTEXT.coherence_errors)


def are_closer_to_own(similarity: Array, own: Targets, errors: float) -> bool:
    """Whether rows are closer to their own column than to the others, by `errors` standard errors.

    Both arrays are (n, m), n and m at least 2, and each row of `own` has one true value.
    """
    own_similarity = similarity[own]
    others = (similarity.sum(axis=1) - own_similarity) / (similarity.shape[1] - 1)
    lead = own_similarity - others
    return bool(lead.mean() > errors * lead.std(ddof=1) / np.sqrt(len(lead)))
