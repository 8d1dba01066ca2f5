"""How often the test whether a model errs alike in all groups rejects, and how often it should.

There are 1,500 made-up texts of three sources, in articles of five, and a model whose probabilities
are calibrated in each source. Texts are drawn from all, from each source, from all and more from
the smallest source, with chances that prefer doubtful texts, or as whole articles. The model errs
alike; or alike on the mean, but with errors that vary more in the smallest source; or it was
another one there, as models of the folds are; or it overestimates a topic there by so many points.

    python benchmarks/errs_alike.py --repeats 500
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from record import parser_of, save
from tables import markdown

from paratopic.findings import shares
from paratopic.findings.shares import Sample
from paratopic.inference.modes import Array, Integers, softmax

N, N_DRAWN, SOURCES, TOPICS = 1500, 120, (0.6, 0.3, 0.1), (0.4, 0.3, 0.1, 0.2)
# How many permutations the test takes here, so that thousands of tests take minutes.
N_PERMUTATIONS = 299
DRAWS = ("all", "each source", "all and one source", "doubtful ones", "articles")
# Name of a case → how much the model overestimates the first topic in the last source, points.
CASES = {"alike": 0, "errors vary more": 0, "another model": 0, "10": 10, "20": 20, "30": 30}
KEY = ["errors", "drawn"]
SHOWN = {
    "errors in the smallest source": "{errors}",
    "drawn from": "{drawn}",
    "p < .05": "{rejected:.1%} ± {error:.1f}",
}


class Texts(NamedTuple):
    """Source, topic, article and probabilities of the texts: (n,) each, and (n, k)."""

    source: Integers
    topic: Integers
    article: Integers
    known: Array


def texts_of(case: str, rng: np.random.Generator) -> Texts:
    """Texts and what a model says of them."""
    source, topic = rng.choice(3, N, p=SOURCES), rng.choice(4, N, p=TOPICS)
    article, last = np.arange(N) // 5, source == 2
    skill = np.where(last & (case in ("errors vary more", "another model")), 0.3, 2.0)
    noise = np.where(last & (case == "another model"), 2.0, 1.2)
    logits = noise[:, None] * rng.normal(size=(N, 4)) + rng.normal(size=(N // 5, 4))[article]
    logits[np.arange(N), topic] += skill
    known, truth = softmax(logits), np.eye(4)[topic]
    for number in range(3):
        inside = source == number
        known[inside] += truth[inside].mean(axis=0) - known[inside].mean(axis=0)
    known[np.ix_(last, [0, 1])] += np.array([1, -1]) * CASES[case] / 100
    return Texts(source, topic, article, known)


def drawn(texts: Texts, how: str, rng: np.random.Generator) -> tuple[Integers, Array]:
    """Numbers of the texts that are drawn, and their weights."""
    sizes, source = np.bincount(texts.source, minlength=3), texts.source
    if how == "each source":
        inside = [np.flatnonzero(source == number) for number in range(3)]
        rows = np.concatenate([rng.permutation(each)[: N_DRAWN // 3] for each in inside])
        return rows, sizes[source[rows]].astype(np.float64)
    if how == "all and one source":
        rows = rng.permutation(N)[: N_DRAWN // 3]
        others = np.setdiff1d(np.flatnonzero(source == 2), rows)
        rows = np.concatenate([rows, rng.permutation(others)[: N_DRAWN // 3]])
        density = N_DRAWN / 3 / N + (source[rows] == 2) * N_DRAWN / 3 / sizes[2]
        return rows, 1 / density
    if how == "doubtful ones":
        doubt = 1 - np.clip(texts.known.max(axis=1), 0, 0.99)
        chance = 0.3 / N + 0.7 * doubt / doubt.sum()
        rows = rng.choice(N, N_DRAWN, replace=False, p=chance / chance.sum())
        return rows, 1 / chance[rows]
    if how == "articles":
        rows = np.flatnonzero(np.isin(texts.article, rng.permutation(N // 5)[: N_DRAWN // 4]))
        return rows, np.ones(len(rows))
    return rng.permutation(N)[:N_DRAWN], np.ones(N_DRAWN)


def p_value(case: str, how: str, seed: int) -> float:
    """The p-value of one draw; 1 if labels are from one source alone."""
    rng = np.random.default_rng([seed, len(case), len(how)])
    texts = texts_of(case, rng)
    rows, weights = drawn(texts, how, rng)
    articles = texts.article[rows] if how == "articles" else None
    truth = np.eye(4)[texts.topic[rows]]
    sample = Sample(texts.known, rows, truth, weights, np.ones(len(rows)), articles)
    masses = [(texts.source == number).astype(np.float64) for number in range(3)]
    p = shares.equal_errors_p(sample, masses, seed)
    return 1.0 if p is None else p


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--repeats", type=int, default=500, help="of each case and draw")
    arguments = parser.parse_args()
    shares.N_PERMUTATIONS = N_PERMUTATIONS
    lines: list[dict[str, Any]] = []
    for case in CASES:
        for how in DRAWS:
            p = np.array([p_value(case, how, seed) for seed in range(arguments.repeats)])
            rejected = float((p < 0.05).mean())
            error = 100 * float((p < 0.05).std() / len(p) ** 0.5)
            lines.append({"errors": case, "drawn": how, "rejected": rejected, "error": error})
            print(f"{case}, {how}: {rejected:.1%}", flush=True)
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))


if __name__ == "__main__":
    main()
