"""What weak sources add to few hand labels, and how near the trust in them comes to the truth.

Draws texts to learn from and texts to test on. A weak source answers for all of the former: the
table's own second annotator, rules of `rules.json`, or stand-ins that are right in a known share of
their answers. People label a few of them. Each method then learns from the same texts: hand labels
alone, the sources alone, both by trust, both by majority vote, where every answer counts as one by
hand, and both by the label model of Snorkel, if it is installed and there are the three sources
that it needs. What learns is the transformer. A source that the file of results already has is not
measured again.

    python benchmarks/weak.py --data TABLE.parquet --labels 40 --draws 3
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from record import done, only, parser_of, rows_of, save, saved
from simulation import population, trained
from sklearn.metrics import f1_score
from tables import markdown, read

from paratopic.corpus.folds import no_folds
from paratopic.corpus.labelled import Labelled
from paratopic.inference.modes import Array, Integers
from paratopic.labels.resolve import vote_rows
from paratopic.labels.weak import estimate_sources
from paratopic.project.folder import Project
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.crossval import fit_all
from paratopic.training.examples import Fit
from paratopic.transformer import fit as transformer

RULES = Path("benchmarks/rules.json")
# What learns, in the order of the printed columns.
METHODS = "hand", "weak", "both", "vote", "snorkel"
KEY = ["data", "labels", "source"]
# What is printed of each.
SHOWN = {
    "source": "{source}",
    "labels": "{labels}",
    **{name: f"{{{name}:.1f}}" for name in METHODS},
    "lead": "{lead:+.1f} ± {lead_error:.1f}",
    "trust off by": "{trust_bias:+.3f}",
    "interval right": "{interval_right:.2f}",
}
# Column of a table with the labels of a second annotator.
SECOND = "annotator_label"
# Column with the answers on each row.
GIVEN = "given"
# Answers of sources as numbers of topics, from the true ones and the number of topics.
Stand = Callable[[Integers, int, np.random.Generator], list[Integers]]


def right_in(share: float) -> Stand:
    """A source that is right with this probability, and wrong at random."""

    def answer(truth: Integers, k: int, rng: np.random.Generator) -> list[Integers]:
        wrong = (truth + rng.integers(1, k, len(truth))) % k
        return [np.where(rng.random(len(truth)) < share, truth, wrong)]

    return answer


def worthless_on_one(truth: Integers, k: int, rng: np.random.Generator) -> list[Integers]:
    """A source that is right in three of four, and gives the first topic at random."""
    (given,) = right_in(0.75)(truth, k, rng)
    given = np.where(given == 0, rng.integers(1, k, len(truth)), given)
    return [np.where(rng.random(len(truth)) < 1 / k, 0, given)]


def three(truth: Integers, k: int, rng: np.random.Generator) -> list[Integers]:
    """Three sources that know nothing of each other, right in 90, 75 and 60 %."""
    return [right_in(share)(truth, k, rng)[0] for share in (0.9, 0.75, 0.6)]


def copied(truth: Integers, k: int, rng: np.random.Generator) -> list[Integers]:
    """A source that is right in three of four, and one that copies nine of ten of its answers."""
    (given,) = right_in(0.75)(truth, k, rng)
    own = rng.integers(0, k, len(truth))
    return [given, np.where(rng.random(len(truth)) < 0.9, given, own)]


STAND_INS: dict[str, Stand] = {
    "right in 90 %": right_in(0.9),
    "right in 75 %": right_in(0.75),
    "right in 60 %": right_in(0.6),
    "worthless on one": worthless_on_one,
    "75 % and a copy": copied,
    "90, 75 and 60 %": three,
}


def by_rules(texts: Sequence[str], rules: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The topics whose rules match each text."""
    patterns = {topic: re.compile("|".join(each), re.I) for topic, each in rules.items()}
    return [[name for name, pattern in patterns.items() if pattern.search(text)] for text in texts]


def answered(given: Sequence[Sequence[Sequence[str]]], names: Sequence[str]) -> list[Any]:
    """Cells of weak answers, from the topics that each source gives each row: none is no answer."""
    return [
        [
            {"source": name, "given": [topic], "confidence": None}
            for name, of_row in zip(names, row, strict=True)
            for topic in of_row
        ]
        or None
        for row in zip(*given, strict=True)
    ]


def learn_and_test(
    rows: pd.DataFrame, tests: pd.DataFrame, topics: Topics, fit: Fit, seed: int
) -> float:
    """Macro-F1 on the tests of a model that is fitted to rows."""
    rows = rows[rows["label_source"] != "none"].reset_index(drop=True)
    data = Labelled(rows, topics, no_folds(rows, "").table, weak=votes_in(rows))
    scores = fit_all(data, fit, seed).predict_proba(numbered(tests["text"]))
    predicted = np.array(topics.names)[scores.argmax(axis=1)]
    return float(100 * f1_score(tests["label"], predicted, average="macro", zero_division=0))


def votes_in(rows: pd.DataFrame) -> pd.DataFrame:
    """The table of the votes on rows, none without the column `GIVEN`."""
    return vote_rows(
        answer | {"paragraph": id_, "kind": "model"}
        for id_, cell in zip(rows["id"], rows.get(GIVEN, [()] * len(rows)), strict=True)
        for answer in cell or ()
    )


def majority(answers: Any) -> str | None:
    """The topic that most answers give, the first of equals; None without one."""
    votes = Counter(answer["given"][0] for answer in answers or ())
    return min(votes, key=lambda name: (-votes[name], name)) if votes else None


def drawn_evenly(rows: pd.DataFrame, n: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows get a label by hand: n of them, as many of each topic as of the others."""
    shuffled = rows.sample(frac=1, random_state=seed)
    rank = shuffled.groupby("truth").cumcount().sort_values(kind="stable")
    return rows.index.isin(rank.index[:n])


def methods(
    rows: pd.DataFrame, by_hand: npt.NDArray[np.bool_], seed: int, topics: Topics
) -> Iterator[tuple[str, pd.DataFrame]]:
    """What each method learns from."""
    has_answer = rows[GIVEN].notna().to_numpy()
    sources = np.where(by_hand, "hand", np.where(has_answer, "weak", "none"))
    yield "hand", rows.assign(label_source=np.where(by_hand, "hand", "none"))
    alone = rows.assign(label_source=np.where(has_answer, "weak", "none"))
    yield "weak", alone
    yield "both", rows.assign(label_source=sources)
    yield "vote", as_by_hand(rows, by_hand, [majority(cell) for cell in rows[GIVEN]])
    shares = rows["truth"][by_hand].value_counts(normalize=True)
    modelled = by_label_model(rows[GIVEN], topics.names, shares, seed)
    if modelled is not None:
        yield "snorkel", as_by_hand(rows, by_hand, modelled)


def as_by_hand(
    rows: pd.DataFrame, by_hand: npt.NDArray[np.bool_], given: Sequence[str | None]
) -> pd.DataFrame:
    """The rows whose topic is given count as if people had labelled them."""
    column = pd.Series(
        [
            own if is_hand else [topic] if topic else []
            for own, is_hand, topic in zip(rows["label"], by_hand, given, strict=True)
        ],
        rows.index,
        dtype=object,
    )
    source = np.where(column.str.len() > 0, "hand", "none")
    labelled = rows.assign(label=column, topic=column.map(tuple), label_source=source)
    return labelled.drop(columns=[GIVEN])


def by_label_model(
    cells: pd.Series, names: Sequence[str], shares: pd.Series, seed: int
) -> list[str | None] | None:
    """The most probable topic of each row by Snorkel's label model (Ratner et al. 2019).

    Each source votes, or where it gives a row several topics, each of its topics. None if Snorkel
    is not installed, or there are fewer than three voters.

    Parameters
    ----------
    cells
        Answers on each row.
    names
        The topics.
    shares
        Topic → its share of the hand labels, from which it learns nothing else.
    seed
        Seed of the model.
    """
    try:
        # Nothing here depends on it, so pyproject.toml does not declare it.
        label_model = import_module("snorkel.labeling.model").LabelModel
    except ImportError:
        return None
    answers = [
        (row, answer["source"], names.index(answer["given"][0]))
        for row, cell in enumerate(cells)
        for answer in cell or ()
    ]
    table = pd.DataFrame(answers, columns=["row", "source", "topic"])
    several = set(table["source"][table.duplicated(["row", "source"])])
    voter = table["source"] + np.where(
        table["source"].isin(several), " " + table["topic"].astype(str), ""
    )
    number, voters = pd.factorize(voter)
    if len(voters) < 3:
        return None
    votes = np.full((len(cells), len(voters)), -1)
    votes[table["row"], number] = table["topic"]
    model = label_model(cardinality=len(names), verbose=False)
    balance = np.maximum([shares.get(name, 0.0) for name in names], 0.01)
    model.fit(votes, class_balance=balance / balance.sum(), seed=seed, progress_bar=False)
    best = model.predict_proba(votes).argmax(axis=1)
    answered = (votes != -1).any(axis=1)
    return [names[b] if has else None for b, has in zip(best, answered, strict=True)]


def trust_against_truth(rows: pd.DataFrame, labelled: pd.DataFrame, topics: Topics) -> Array:
    """Of each topic of the first source: its trust, the truth, and whether the interval has it."""
    table = pd.DataFrame(
        list(estimate_sources(labelled, votes_in(labelled), topics).reliabilities())
    )
    table = table[table["source"] == table["source"].iloc[0]]
    every = rows.assign(label_source="hand")
    true = pd.DataFrame(list(estimate_sources(every, votes_in(every), topics).reliabilities()))
    true = true[true["source"] == table["source"].iloc[0]]
    share = (true["right"] / true["compared"]).to_numpy()
    has = (table["low"] <= share) & (share <= table["high"])
    return np.column_stack([table["trust"], share, has]).astype(np.float64)


def measure(
    rows: pd.DataFrame,
    tests: pd.DataFrame,
    cells: Callable[[np.random.Generator], list[Any]],
    fit: Fit,
    topics: Topics,
    hand: int,
    seeds: range,
    trust_draws: int,
) -> dict[str, Any]:
    """Mean macro-F1 of each method over seeds, and how near the trust is to the truth."""
    figures: dict[str, list[float]] = {}
    trusts = []
    for seed in range(seeds.start, seeds.start + max(len(seeds), trust_draws)):
        column = pd.Series(cells(np.random.default_rng(seed)), rows.index, dtype=object)
        answered_rows = rows.assign(**{GIVEN: column})
        by_hand = drawn_evenly(rows, hand, seed)
        labelled = answered_rows.assign(label_source=np.where(by_hand, "hand", "weak"))
        trusts.append(trust_against_truth(answered_rows, labelled, topics))
        if seed in seeds:
            for name, learnt in methods(answered_rows, by_hand, seed, topics):
                score = learn_and_test(learnt, tests, topics, fit, seed)
                figures.setdefault(name, []).append(score)
    compared = np.concatenate(trusts)
    lead = np.array(figures["both"]) - np.array(figures["hand"])
    return {name: float(np.mean(each)) for name, each in figures.items()} | {
        "lead": float(lead.mean()),
        "lead_error": float(lead.std() / np.sqrt(len(seeds))),
        "trust_bias": float((compared[:, 0] - compared[:, 1]).mean()),
        "trust_error": float(np.abs(compared[:, 0] - compared[:, 1]).mean()),
        "interval_right": float(compared[:, 2].mean()),
    }


def sources_of(rows: pd.DataFrame, name: str) -> dict[str, Callable[[np.random.Generator], Any]]:
    """The sources of a table: name → what makes its cells of weak answers."""
    labels = sorted(set(rows["truth"]))
    truth = np.array([labels.index(label) for label in rows["truth"]])

    def stand(draw: Stand) -> Callable[[np.random.Generator], list[Any]]:
        def make(rng: np.random.Generator) -> list[Any]:
            given = [[[labels[each]] for each in one] for one in draw(truth, len(labels), rng)]
            return answered(given, [f"source {number}" for number in range(len(given))])

        return make

    made = {title: stand(draw) for title, draw in STAND_INS.items()}
    if SECOND in rows:
        second = answered([[[label] for label in rows[SECOND]]], ["second annotator"])
        made = {"second annotator": lambda rng: second} | made
    rules = json.loads(RULES.read_text(encoding="utf-8"))
    if name in rules:
        of_rules = answered([by_rules(list(rows["text"]), rules[name])], ["rules"])
        made["rules"] = lambda rng: of_rules
    return made


def main() -> None:
    """Print a line for each source and number of hand labels, and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--leave-out", nargs="*", default=[])
    parser.add_argument("--labels", type=int, nargs="+", default=[40], help="labels by hand")
    parser.add_argument("--weak", type=int, default=2000, help="texts with weak answers, at most")
    parser.add_argument("--tests", type=int, default=1000, help="texts to test on, at most")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--trust-draws", type=int, default=100, help="draws of trust alone")
    parser.add_argument("--only", nargs="*", help="names of the sources; default: all")
    wish = parser.parse_args()
    params = Project().params
    table = read(wish.data, wish.leave_out)
    every = population(table)
    raw = pd.concat(map(pd.read_parquet, [wish.data]), ignore_index=True)
    if SECOND in raw:
        every[SECOND] = raw[SECOND].astype(str)
    every = every.sample(frac=1, random_state=params.seed)
    n = min(wish.weak, 2 * len(every) // 3)
    rows, tests = every[:n].reset_index(drop=True), every[n : n + wish.tests]
    rows = rows.rename(columns={"label": "truth"}).assign(label=rows["topic"].map(list))
    topics = Topics("single", tuple(sorted(set(rows["truth"]))))
    fit = trained(transformer, params.section("transformer"))(topics)
    about = {"texts": len(rows), "tests": len(tests), "draws": wish.draws}
    about["trust_draws"] = wish.trust_draws
    have, seeds = done(wish, KEY), range(wish.first, wish.first + wish.draws)
    names = [name for name in sources_of(rows, table.name) if not wish.only or name in wish.only]
    for name in names:
        for hand in wish.labels:
            if (table.name, hand, name) in have:
                continue
            cells = sources_of(rows, table.name)[name]
            line = measure(rows, tests, cells, fit, topics, hand, seeds, wish.trust_draws)
            line = dict(zip(KEY, (table.name, hand, name), strict=True)) | about | line
            save(wish.results, [line], KEY, __file__)
            print(f"{name}, {hand} labels: done", flush=True)
    wanted = {"data": [table.name], "labels": wish.labels, "source": names}
    print(markdown(rows_of(only(pd.DataFrame(saved(wish.results)), **wanted)), SHOWN))


if __name__ == "__main__":
    main()
