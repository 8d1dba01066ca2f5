"""How often slices are named where nothing is wrong, and how often where something is.

Texts are drawn at random from a labelled table. The transformer is tuned, cross-validated and
calibrated. Slices that mean nothing are then made in two ways, several times: the table's columns
are shuffled over the texts, and made-up values are dealt to documents as a whole. Slices that are
worse are planted: some of their answers, drawn at random, are made wrong. A draw that the file of
results already has is not repeated.

    python benchmarks/slices.py --data BILLS --none other --date introduced \\
        --columns veterans_flag truncated summary_version
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from record import done, only, parser_of, rows_of, save, saved
from simulation import cross_validated, population, trained, without
from tables import markdown, read

from paratopic.corpus.folds import TooFewLabels
from paratopic.evaluation.outcomes import EvaluatedPredictions, evaluated_predictions
from paratopic.findings.slices import Slice, find_slices, slice_columns
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.topics import Topics
from paratopic.training.examples import Fit
from paratopic.transformer import fit as transformer

MOST_ROWS = 2500  # of a table
CONFIDENCE = 0.95
KEY = ["data", "seed", "what"]
# Share of a planted slice's answers that are made wrong.
PLANTED = 0.3
# What is printed of each.
SHOWN = {"table": "{data}", "slices": "{what}", "texts": "{n:.0f}", "reports": "{reports}"}
SHOWN |= {"named": "{named:.1%} ± {error:.1%}"}
# Numbers of values of the columns that are dealt to documents.
MADE_UP = (2, 3, 5, 10)

Columns = Mapping[str, Sequence[str]]


def answers_of(
    labelled: pd.DataFrame, fit: Fit, topics: Topics, params: Params, seed: int
) -> EvaluatedPredictions:
    """Out-of-fold answers for labelled texts.

    Raises
    ------
    TooFewLabels
        The labels are too few for folds.
    """
    rows = labelled.assign(heading="")
    data, scores, _ = cross_validated(rows, fit, topics, params, seed)
    return evaluated_predictions(data, scores)


def shuffled(columns: Columns, rng: np.random.Generator) -> dict[str, list[str]]:
    """The columns with the values of each text given to another one."""
    order = rng.permutation(len(next(iter(columns.values()))))
    return {name: [values[row] for row in order] for name, values in columns.items()}


def dealt(groups: Sequence[int], rng: np.random.Generator) -> dict[str, list[str]]:
    """Columns with a value for each document, drawn at random."""
    codes, documents = pd.factorize(pd.Series(groups))
    made = {k: rng.integers(0, k, len(documents)) for k in MADE_UP}
    return {f"{k} values": [str(values[code]) for code in codes] for k, values in made.items()}


def planted(
    answers: EvaluatedPredictions, chosen: pd.Series, rng: np.random.Generator
) -> EvaluatedPredictions:
    """The answers, of which some of the chosen ones are made wrong."""
    spoilt = chosen & (rng.random(len(chosen)) < PLANTED)
    table = answers.table
    return replace(answers, table=table.assign(right=table["right"] & ~spoilt))


def lines_of_draw(
    answers: EvaluatedPredictions, columns: Columns, where: Sequence[tuple[str, str]], seed: int
) -> Iterator[dict[str, object]]:
    """A line for each report: what was done, the size of the slice, and whether one was named."""
    rng = np.random.default_rng(seed)

    def report(about: EvaluatedPredictions, of: Columns) -> list[Slice]:
        return [each for each in find_slices(of, about, CONFIDENCE, seed) if each.is_worse]

    size = len(answers.table)
    named = report(answers, shuffled(columns, rng))
    yield {"what": "shuffled over texts", "n": size, "named": bool(named)}
    named = report(answers, dealt(answers.outcomes.groups.tolist(), rng))
    yield {"what": "dealt to documents", "n": size, "named": bool(named)}
    for column, value in where:
        chosen = pd.Series(columns[column]) == value
        if chosen.sum() >= size / 50:
            named = report(planted(answers, chosen, rng), columns)
            found = (column, value) in {(each.column, each.value) for each in named}
            what = f"planted in {column}: {value}"
            yield {"what": what, "n": int(chosen.sum()), "named": found}


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", type=Path, required=True, help="a parquet file")
    parser.add_argument("--none", nargs="*", default=[], help="labels that mean: no topic")
    parser.add_argument("--date", help="column with dates, whose years and months make slices")
    parser.add_argument("--columns", nargs="*", default=[], help="columns that make slices")
    parser.add_argument("--plant", nargs="*", default=["length: longest third"], help="slices")
    parser.add_argument("--labels", type=int, default=300, help="texts that are drawn")
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--shuffles", type=int, default=40, help="of the columns, in each draw")
    return parser.parse_args()


def main() -> None:
    """Print a table and write it."""
    arguments = options()
    params = Project().params
    table, whole = read(str(arguments.data)), pd.read_parquet(arguments.data)
    rows = without(population(table), arguments.none)
    rows["article"] = table.rows["group"]  # as it is: speeches have few documents
    fields = whole[arguments.columns].astype(str).assign(id=rows["id"])
    if arguments.date:
        fields["date"] = whole[arguments.date].astype(str)
    if len(rows) > MOST_ROWS:
        rows = rows.sample(MOST_ROWS, random_state=params.seed)
    frame = rows[["id", "article", "text"]].assign(heading="", position=0, ordered=False)
    frame = frame.merge(fields, on="id")
    topics = Topics("single", tuple(sorted(set(rows["label"]) - {""})))
    where = [(column, value) for column, value in (name.split(": ") for name in arguments.plant)]
    fit = trained(transformer, params.section("transformer"))(topics)
    have = {seed for data, seed, _ in done(arguments, KEY) if data == table.name}
    for seed in range(arguments.draws):
        if seed in have:
            continue
        drawn = rows.sample(
            arguments.labels, random_state=np.random.default_rng([params.seed, seed])
        )
        drawn = drawn.sort_values("id", ignore_index=True)
        try:
            answers = answers_of(drawn, fit, topics, params, seed)
        except TooFewLabels:
            continue
        columns = slice_columns(frame, list(answers.table["id"]), {})
        lines = [
            line
            for number in range(arguments.shuffles)
            for line in lines_of_draw(answers, columns, where, seed * arguments.shuffles + number)
        ]
        runs = pd.DataFrame(lines).groupby("what", sort=False)
        shares = runs.agg(n=("n", "mean"), reports=("named", "size"), named=("named", "mean"))
        shares = shares.reset_index().assign(data=table.name, seed=seed)
        save(arguments.results, rows_of(shares), KEY, __file__)
        print(f"{table.name} {seed}: done", flush=True)
    wanted = {"data": [table.name], "seed": range(arguments.draws)}
    every = only(pd.DataFrame(saved(arguments.results)), **wanted).groupby(
        ["data", "what"], sort=False
    )
    means = every.agg(
        n=("n", "mean"), reports=("reports", "sum"), named=("named", "mean"), error=("named", "sem")
    )
    print(markdown(rows_of(means.reset_index()), SHOWN))


if __name__ == "__main__":
    main()
