"""Constants of training that are hyper-parameters of the method, which params.yaml does not have.

Docstrings name the benchmark, `benchmarks/NAME.py`, on whose tables a constant was chosen. The
results in `benchmarks/results/NAME.csv` are of other draws.
"""

from __future__ import annotations

from dataclasses import dataclass

from paratopic.inference.linear_head import ContextWeights


@dataclass(frozen=True)
class Evidence:
    """Constants that weigh labels against the topics' descriptions."""

    description_articles: int = 3
    """Number of labelled articles that count as much as the descriptions."""
    rare_share: float = 0.5
    """Share of labels of none of the topics from which on topics are rare."""


@dataclass(frozen=True)
class Context:
    """Constants of the choice of context weights."""

    prior: ContextWeights = ContextWeights(neighbours=0.6, heading=0.3)
    """Weights that are used unless labels choose others (`context`)."""
    others: tuple[ContextWeights, ...] = (
        ContextWeights(),
        ContextWeights(neighbours=0.3),
        ContextWeights(neighbours=0.6),
        ContextWeights(heading=0.3),
        ContextWeights(neighbours=0.6, heading=0.3, title=0.3),
    )
    """The other candidates."""
    least_articles: int = 4
    """Least number of labelled articles for a choice, and number of its folds. Fewer held-out
    articles say little about other articles."""
    errors: float = 0.5
    """Standard errors by which other weights have to be better than the prior ones."""
    most_examples: int = 1000
    """Limit of examples on which the choice is made."""
    coherence_errors: float = 1.0
    """Standard errors by which texts have to be more similar to their neighbours than to those of
    other texts. One is enough, because nearly all articles are coherent, and 25 paragraphs rarely
    show more."""
    most_compared: int = 300
    """Limit of texts that are compared for this."""


@dataclass(frozen=True)
class Head:
    """Constants of heads: their prior, weak labels and pseudo-labels."""

    strength: float = 10.0
    """C of the regression on an encoder's embeddings in mode single."""
    multi_strength: float = 1.0
    """C in mode multi."""
    prior_scale: float = 10.0
    """Prior logit for each unit of a text's similarity to a topic's description."""
    margin: float = 0.1
    """Similarity to a description, in addition to the `nearness` to other subjects, at which a text
    is as likely to have the topic as to have none (`new_articles`). From .08 to .13, the mean of
    macro-F1 differs by 2 points."""
    centred_margin: float = 0.07
    """The margin for encoders other than the default, whose embeddings are centred, chosen with
    multilingual-e5-small. From .05 to .1, the mean of macro-F1 differs by 2 points."""
    unseen_share: float = 0.05
    """Share of the probability that is divided equally among all outcomes before votes of weak
    sources are combined with a head's prediction."""
    least_weak_factor: float = 0.1
    """Least factor of the weights of training data with weak labels (`weak`). The factor is the
    share of labels by hand if that is larger."""
    n_neighbours: int = 20
    """Number of the nearest other texts of the pool that smooth a prediction."""
    neighbour_share: float = 0.5
    """Share of the neighbours in a smoothed prediction; the rest is the text's own prediction."""
    power: float = 3.0
    """Smoothed predictions are raised to this power, which sharpens them."""
    least_topic_weight: float = 4.0
    """Least sum of the weights of each topic's labels for two rounds of pseudo-labels."""


EVIDENCE, CONTEXT, HEAD = Evidence(), Context(), Head()
