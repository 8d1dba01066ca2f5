"""Training examples, how much each of them counts, and the contract of a fit.

And how much a model reads of what stands around a text. With few labels the weights are those that
were best on speeches which others had labelled. Labels of enough articles can tell that other
weights are better, or that nothing should be read.

Both kinds of model are fitted by a `Fit` and give a `Fitted`; the fits are in `baseline` and
`transformer`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.effective import design_effects_of_few
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
from paratopic.labels.weak import combine_votes, learn_sources
from paratopic.project.files import aside
from paratopic.project.languages import Audience, audience_of
from paratopic.project.texts import NOTHING, Texts
from paratopic.project.topics import Topics
from paratopic.training.calibration import measure

# Number of labelled articles that count as much as the topics' descriptions.
DESCRIPTION_ARTICLES = 3
# Share of labels that say none of the topics from which on topics are rare.
RARE = 0.5

# Name of a metric → how close a saved model's answers are to those before.
Parity = dict[str, float]

# Called with the work done so far, in fits: 0.5 is half of the first fit.
Advance = Callable[[float], None]
# Weights that are used unless labels tell that others are better.
PRIOR = ContextWeights(neighbours=0.6, heading=0.3)
# The other weights that are tried.
OTHERS = (
    ContextWeights(),
    ContextWeights(neighbours=0.3),
    ContextWeights(neighbours=0.6),
    ContextWeights(heading=0.3),
    ContextWeights(neighbours=0.6, heading=0.3, title=0.3),
)
# Labelled articles that it takes to choose, and number of folds: with fewer, held-out ones say
# little of others.
LEAST_ARTICLES = 4
# Standard errors by which other weights have to be better than the prior ones.
ERRORS = 0.5
# The choice is made on no more examples than this.
MOST_TO_CHOOSE = 1000
# Standard errors by which texts have to be more like their neighbours than like those of others,
# and number of texts that are compared at most. Nearly all articles are coherent, so that one error
# is enough: 25 paragraphs rarely show more.
COHERENT, MOST_TO_COMPARE = 1.0, 300


def silent(done: float) -> None:
    """Report progress to nobody."""


def at_most(most: int, n: int, seed: int) -> Integers:
    """Numbers of n things in their order: of all or, of more than `most`, of as many at random."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


class Soft(NamedTuple):
    """What is known of n texts, some of which have only weak labels.

    Attributes
    ----------
    by_hand
        (n,) which texts have a label by hand.
    ratio
        (n, K) how many times as probable weak sources make each outcome of each question
        (`Topics.labels`). Of texts with a label by hand it tells nothing.
    weights
        (n, r) how far the answer to each question is trusted, 0 to 1.
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
        n texts, alone or with what stands around them.
    targets
        (n, k) whether each text has each topic.
    groups
        (n,) group numbers; inner folds hold out whole groups.
    articles
        (n,) numbers of the articles that the texts are from.
    soft
        What is known of each text where some labels are weak; None, the default, where none is.
    unlabelled
        Texts that nobody labelled; none by default.
    """

    texts: Texts
    targets: Targets
    groups: Integers
    articles: Integers
    soft: Soft | None = field(default=None, kw_only=True)
    unlabelled: Sequence[str] = field(default=(), kw_only=True)

    @property
    def by_hand(self) -> Targets:
        """Topics of the examples with a label by hand, (m, k)."""
        return self.targets if self.soft is None else self.targets[self.soft.by_hand]

    @property
    def sample_weight(self) -> Array:
        """How much each text's labels count, (n,) from 0 to 1: less than 1 if they are weak."""
        return np.ones(len(self.texts)) if self.soft is None else self.soft.weights.max(axis=1)

    def of(self, rows: Integers) -> Examples:
        """Select examples by their numbers."""
        return replace(
            self,
            texts=self.texts.of(rows),
            targets=self.targets[rows],
            groups=self.groups[rows],
            articles=self.articles[rows],
            soft=self.soft and Soft._make(part[rows] for part in self.soft),
        )


@dataclass
class Fitted(ABC):
    """A trained model before it is saved.

    Parameters
    ----------
    history
        Course of the fit: two columns of numbers, such as step and loss.
    context
        How much it reads of what stands around a text.
    notes
        What a user of the model has to know, such as what was not measured for its encoder.
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
        """Probabilities of n texts in context, and of the same texts alone."""
        scores = self.predict_proba(texts)
        reads = self.context.reads(texts).any()
        return scores, self.predict_proba(texts.without_context) if reads else scores

    @abstractmethod
    def write(self, folder: Path) -> tuple[dict[str, object], Parity]:
        """Write the files that the kind's classifier reads into an empty folder.

        Returns
        -------
        settings
            What the classifier has to know beside these files, but for the context.
        parity
            Metrics of how close the answers by these files are to this model's; empty if equal.
        """

    def audience(self, labelled: Sequence[str]) -> Audience:
        """Say which languages the model is for, which was fitted to these labelled texts."""
        return audience_of(labelled, self.topics.descriptions, self.encoder)

    def save(self, folder: Path, calibration: Calibration, languages: Sequence[str] = ()) -> Parity:
        """Write a folder that `inference.model.load` opens, the same bytes every time.

        It is for languages with these codes; none, the default, where they are not known.
        """
        with aside(folder) as draft:
            draft.mkdir()
            parity = self.write_fit(draft, languages)
            write_manifest(draft, self.topics, asdict(calibration))
        return parity

    def write_fit(self, folder: Path, languages: Sequence[str]) -> Parity:
        """Write what a model's folder has but for what calibrates it; parameters as of `save`."""
        settings, parity = self.write(folder)
        settings["context"] = asdict(self.context)
        about = {"kind": self.KIND, "languages": list(languages), "settings": settings}
        (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        # Weights come readable by their owner alone; whoever reads the folder may have them.
        for weights in folder.rglob("*.safetensors"):
            weights.chmod((folder / ABOUT).stat().st_mode)
        return parity


# Fits one model to examples with a seed, and reports the share of the work done, 0 to 1.
Fit = Callable[[Examples, int, Advance], Fitted]


def evidence(examples: Examples, described: bool) -> Array:
    """Weigh each example against the topics' descriptions, if topics are described.

    Paragraphs of one article repeat each other, so that each is divided by the design effect of its
    article among g labelled ones. The weights are multiplied by g / (g + 3), so that the
    descriptions count as three articles.

    Returns
    -------
    (n,) weights of the examples, each 0 to 1. With descriptions, all paragraphs of a lone article
    together weigh 1/4, and each of a thousand paragraphs from as many articles weighs almost 1.
    Without descriptions all examples weigh 1. Labels that are not wholly trusted weigh less, and so
    does their article.
    """
    article, weight = examples.articles, examples.sample_weight
    if not described:
        return weight
    size = np.bincount(article, minlength=1)[article]
    g = _n_articles(article, weight)
    return weight * g / (g + DESCRIPTION_ARTICLES) / design_effects_of_few(size, g)


def share_of_labels(examples: Examples, described: bool) -> float:
    """Share of the labels in what is known of the topics; see `evidence`.

    An article counts as far as its most trusted label. Without descriptions, labels are all that is
    known.
    """
    g = _n_articles(examples.articles, examples.sample_weight)
    return g / (g + DESCRIPTION_ARTICLES) if described else 1.0


def topics_are_rare(targets: Targets, topics: Topics) -> bool:
    """Whether most labels by hand, (n, k), say none of the topics, in mode single.

    Then an encoder and a head are taught otherwise than where most texts have a topic: see
    `transformer` and `crossval`.
    """
    n_none = int((~mode_of(topics.mode).informative(targets)).sum())
    return n_none >= RARE * max(len(targets), 1)


def description_weights(examples: Examples, n_outcomes: int) -> Array:
    """How much the topics' descriptions count beside labels in a tuned encoder.

    The more articles have taught the encoder a topic, the less its closeness to the description
    adds; an article counts as far as its most trusted label. With labels of g articles it counts as
    (3 + 1) / (3 + g), so as 1 with one article. A topic without a label counts as 4 / 3, as it has
    to stand up to those that have some, and so does what the descriptions say of none of the
    topics. Without any label all count as 1.

    Returns
    -------
    (n_outcomes,) factors.
    """
    if not examples.targets.any():
        return np.ones(n_outcomes)
    none, weight = ~examples.targets.any(axis=1), examples.sample_weight
    outcomes = np.column_stack([examples.targets, none])[:, :n_outcomes]
    g = np.array([_n_articles(examples.articles[has], weight[has]) for has in outcomes.T])
    return (DESCRIPTION_ARTICLES + 1) / (DESCRIPTION_ARTICLES + g)


def _n_articles(articles: Integers, weight: Array) -> float:
    """Number of articles, each counted with the weight of the label that counts most."""
    return float(pd.Series(weight).groupby(articles).max().to_numpy().sum())


def examples_of(
    data: Labelled, part: Integers | slice, texts: Texts, unlabelled: Sequence[str]
) -> Examples:
    """Make a part of the rows, with the texts to read, and texts without a label, examples.

    How far weak sources are trusted is learnt from the hand labels of this part alone. Rows on
    which no source counts are left out.
    """
    data = data.of(part)
    articles = pd.factorize(data.rows["article"])[0].astype(np.int64)
    examples = Examples(texts, data.targets, data.groups, articles, unlabelled=unlabelled)
    if data.by_hand.all():
        return examples
    by_hand = data.by_hand[:, None]
    sources = learn_sources(data.rows, data.weak, data.topics)
    combined = combine_votes(data.rows, data.weak, sources)
    soft = Soft(data.by_hand, combined.ratio, np.where(by_hand, 1.0, combined.weights))
    targets = np.where(by_hand, data.targets, combined.targets)
    examples = replace(examples, targets=targets, soft=soft)
    return examples.of(np.flatnonzero(examples.sample_weight > 0))


# Probabilities (m, k) of held-out examples, by a head that reads so much and was fitted to others:
# of weights, and of the numbers of examples to learn from and to answer.
Score = Callable[[ContextWeights, Integers, Integers], Scores]

# Features of texts alone, (m, d).
Embed = Callable[[Sequence[str]], Features]


def choose_context(
    examples: Examples, topics: Topics, seed: int, score: Score, embed: Embed
) -> ContextWeights:
    """Choose the weights by the log loss of examples that are held out, whole articles at a time.

    Neighbours are not read where they are no more like the texts than those of other texts are. No
    label is needed to see that.

    Returns
    -------
    `PRIOR`, unless other weights are better by more than chance explains. Parts that no example has
    weigh 0, unless there is no example at all.
    """
    if not len(examples.texts):
        return PRIOR
    is_read = {
        part: bool((examples.texts.at(part) != NOTHING).any()) for part in ("heading", "title")
    }
    is_read["neighbours"] = _are_coherent(examples.texts, seed, embed)
    weights = (
        {part: weight for part, weight in asdict(each).items() if is_read[part]}
        for each in (PRIOR, *OTHERS)
    )
    prior, *others = dict.fromkeys(ContextWeights(**each) for each in weights)
    rows = at_most(MOST_TO_CHOOSE, len(examples.texts), seed)
    targets, articles = examples.targets[rows], examples.articles[rows]
    # At least one topic has to be in as many rows as there are folds.
    most = int(targets.sum(axis=0).max(initial=0))
    if not others or min(len(np.unique(articles)), most) < LEAST_ARTICLES:
        return prior
    fold = deal(targets, articles, LEAST_ARTICLES, seed)

    def losses(read: ContextWeights) -> Array:
        scores = np.zeros(targets.shape)
        for held_out in np.unique(fold):
            test = fold == held_out
            scores[test] = score(read, rows[~test], rows[test])
        return measure(targets, scores, topics)[0]

    of_each = np.array([losses(each) for each in (prior, *others)])
    best = int(of_each.mean(axis=1).argmin())
    worse = of_each[0] - of_each[best]
    chance = ERRORS * worse.std() / np.sqrt(len(worse))
    return prior if worse.mean() <= chance else others[best - 1]


def _are_coherent(texts: Texts, seed: int, embed: Embed) -> bool:
    """Whether texts are more like their neighbours than like those of other texts.

    The neighbour of a text is the text after it or, without one, that before it. Of fewer than two
    texts with neighbours, nothing is known, and they are taken to be. Without any neighbours it is
    false.
    """
    before, after = (texts.at(part)[:, 0] for part in ("before", "after"))
    near = np.where(after == NOTHING, before, after)
    rows = np.flatnonzero(near != NOTHING)
    if len(rows) < 2:
        return bool(len(rows))
    rows = rows[at_most(MOST_TO_COMPARE, len(rows), seed)]
    own, others = (
        embed([texts.distinct[number] for number in numbers.tolist()])
        for numbers in (texts.own[rows], near[rows])
    )
    products = own @ others.T
    similarity = products if isinstance(products, np.ndarray) else products.toarray()
    return stand_out(similarity, np.eye(len(rows), dtype=bool), COHERENT)


def stand_out(similarity: Array, own: Targets, errors: float) -> bool:
    """Whether rows are more like their own column than like others, by more standard errors.

    Both are (n, m), and each row has one column of its own.
    """
    of_own = similarity[own]
    lead = of_own - (similarity.sum(axis=1) - of_own) / (similarity.shape[1] - 1)
    return bool(lead.mean() > errors * lead.std(ddof=1) / np.sqrt(len(lead)))
