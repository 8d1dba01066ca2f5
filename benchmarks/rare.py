"""Whether looking for rare topics finds them, and what their labels gain.

A project begins with labels at random, and its model ships as stage train makes it, with
definitions. Further labels are chosen at random, as `paratopic suggest` does, by the smallest
margins, or for each rare topic in turn: as `paratopic suggest --topic` does, or simply those that
are most similar to its definition. The model that learnt from all of them answers rows of other
articles. A run that the file of results already has is not repeated.

    python benchmarks/rare.py --data BILLS SENTENCES --none other
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from answers import draw
from few_shot import codebook
from record import done, only, parser_of, save, saved
from simulation import calibrated, embeddings, population, trained, without
from sklearn.metrics import f1_score
from tables import Table, markdown, read, with_error

from paratopic import load
from paratopic.annotation.suggestion import draw_random, search, suggest
from paratopic.corpus.folds import no_folds
from paratopic.corpus.labelled import Labelled, Pool
from paratopic.corpus.table import targets_of
from paratopic.inference.model import Model
from paratopic.project.files import Paths
from paratopic.project.params import Params, read_params
from paratopic.project.topics import Topic, Topics
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.training.examples import topics_are_rare
from paratopic.transformer import fit as transformer

KEY = ["data", "frozen", "first", "more", "seed", "order"]
# Columns of the paragraph table that the tables do not have.
ALONE: dict[str, Any] = {
    "title": "",
    "heading": "",
    "before": "",
    "after": "",
    "ordered": False,
    "position": 0,
}
# Ids of paragraphs to label next, of those in a paragraph table that have no label: the ids of
# those that have one, their model, how many, a seed.
Order = Callable[[pd.DataFrame, Sequence[str], Model, int, int], Sequence[str]]
SHOWN = {
    "table": "{data}",
    "labels": "{order}",
    "draws": "{draws}",
    "of rare topics": "{found:.1f}",
    "macro-F1": "{macro_f1:.3f}",
    "gain, points": "{gain}",
    "F1 of rare topics": "{rare_f1:.3f}",
}


@dataclass(frozen=True)
class Project:
    """Paragraphs that can be labelled, and what a model is fitted with."""

    frame: pd.DataFrame
    topics: Topics
    params: Params
    frozen: bool
    seed: int


def model_of(project: Project, judged: Sequence[str], folder: Path) -> Model:
    """The model that ships with the labels of these paragraphs."""
    settings, topics = project.params.section("transformer"), project.topics
    settings = replace(settings, epochs=0) if project.frozen else settings
    is_labelled = project.frame["id"].isin(judged)
    rows = project.frame[is_labelled].assign(label_source="hand").reset_index(drop=True)
    others = project.frame[~is_labelled].head(settings.unlabelled)
    pool: Pool | None = Pool(rows[["article", "text"]], others[["article", "text"]])
    if topics_are_rare(targets_of(rows["topic"], topics.names), topics):
        pool = None  # as in `training.crossval`
    data = Labelled(rows, topics, no_folds(rows, "it is not measured").table, pool)
    fit = trained(transformer, settings)(topics)
    scores = cross_validate(data, fit, project.seed).scores
    _, calibration = calibrated(data, scores, project.params)
    fit_all(data, fit, project.seed).save(folder, calibration)
    return load(folder)


def at_random(
    frame: pd.DataFrame, judged: Sequence[str], model: Model, n: int, seed: int
) -> list[str]:
    """What `paratopic suggest --random` draws."""
    return list(draw_random(frame, judged, n, seed))


def suggested(
    frame: pd.DataFrame, judged: Sequence[str], model: Model, n: int, seed: int
) -> list[str]:
    """What `paratopic suggest` picks."""
    return [*suggest(frame, judged, model, n, seed)]


def uncertain(
    frame: pd.DataFrame, judged: Sequence[str], model: Model, n: int, seed: int
) -> list[str]:
    """The smallest margins, however alike."""
    rest = frame[~frame["id"].isin(judged)]
    doubt = model.mode.uncertainty(model.predict_proba(list(rest["text"])))
    return list(rest["id"].iloc[np.argsort(-doubt, kind="stable")[:n]])


def of_topic(topic: str) -> Order:
    """What `paratopic suggest --topic` picks."""

    def order(
        frame: pd.DataFrame, judged: Sequence[str], model: Model, n: int, seed: int
    ) -> list[str]:
        return list(search(frame, judged, "", (topic,), model, n, seed))

    return order


def nearest_to(definition: str, params: Params) -> Order:
    """The texts whose embeddings of the frozen encoder are most similar to a definition's."""

    def order(
        frame: pd.DataFrame, judged: Sequence[str], model: Model, n: int, seed: int
    ) -> list[str]:
        rest = frame[~frame["id"].isin(judged)]
        known = embeddings([definition, *rest["text"]], params, None)
        similarity = np.array([known[text] for text in rest["text"]]) @ known[definition]
        return list(rest["id"].iloc[np.argsort(-similarity, kind="stable")[:n]])

    return order


def rare_topics(rows: pd.DataFrame, most: float) -> list[str]:
    """Topics that at most this share of the rows have."""
    shares = rows["label"].value_counts(normalize=True)
    return sorted(str(name) for name in shares.index[shares <= most] if name)


def run(
    table: Table, rows: pd.DataFrame, seed: int, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Lines of the results of one draw, for the orders that have none yet."""
    first, pool, tests = draw(rows, options.first, seed, options.pool)
    names, rare = sorted(set(rows["label"]) - {""}), rare_topics(rows, options.rarest)
    definitions, params = codebook(table.name, names), read_params(Paths().params)
    orders: dict[str, Order] = {"random": at_random, "suggested": suggested, "uncertain": uncertain}
    orders |= {f"topic {name}": of_topic(name) for name in rare}
    orders |= {f"nearest {name}": nearest_to(definitions[name], params) for name in rare}
    about = (table.name, options.frozen, options.first, options.more, seed)
    missing = [name for name in orders if (*about, name) not in options.have]
    if not missing:
        return
    topics = Topics("single", tuple(Topic(name, definitions[name]) for name in names))
    frame = pd.concat([first, pool], ignore_index=True).drop_duplicates("text")
    judged, truth = list(first["id"]), tests["label"].to_numpy()
    # Until they are chosen, nobody has seen their labels.
    frame = frame.assign(**ALONE, label_source="none")
    project = Project(frame, topics, params, options.frozen, seed)
    with tempfile.TemporaryDirectory() as parent:
        model = model_of(project, judged, Path(parent) / "first")
        for name in missing:
            more = orders[name](frame, judged, model, options.more, seed)
            later = model_of(project, [*judged, *more], Path(parent) / name.replace(" ", "-"))
            answers = [answer.topic or "" for answer in later.predict(list(tests["text"]))]
            macro_f1, rare_f1 = (
                f1_score(truth, answers, average="macro", labels=labels, zero_division=0)
                for labels in (["", *names], rare)
            )
            n_found = int(frame["label"][frame["id"].isin(more)].isin(rare).sum())
            line = dict(zip(KEY, (*about, name), strict=True)) | {"found": n_found}
            line |= {"macro_f1": float(macro_f1), "rare_f1": float(rare_f1)}
            print(*(f"{key}={value}" for key, value in line.items()), flush=True)
            yield line


def lines_of(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """A line for each table and order: means over draws, and the gain over random labels."""
    lines = []
    for data, part in runs.groupby("data", sort=False):
        wide = part.pivot(index="seed", columns="order", values="macro_f1")
        for order, of_order in part.groupby("order", sort=False):
            line: dict[str, Any] = {"data": data, "order": order, "draws": len(of_order)}
            line |= {key: of_order[key].mean() for key in ("found", "macro_f1", "rare_f1")}
            gain = 100 * (wide[order] - wide["random"])
            lines.append(line | {"gain": "" if order == "random" else with_error(gain)})
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of the draws asked for; write every run."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--first", type=int, default=100, help="labels at random to begin with")
    parser.add_argument("--more", type=int, default=100, help="labels that follow")
    parser.add_argument("--pool", type=int, default=3000, help="rows that can be labelled then")
    parser.add_argument("--rarest", type=float, default=0.05, help="share of a rare topic, at most")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--frozen", action="store_true", help="the encoder is not tuned (quick)")
    options = parser.parse_args(arguments)

    options.have = done(options, KEY)
    tables = [read(pattern) for pattern in options.data]
    populations = [without(population(table), options.none) for table in tables]
    seeds = range(options.first_seed, options.first_seed + options.draws)
    for seed in seeds:
        for table, rows in zip(tables, populations, strict=True):
            for line in run(table, rows, seed, options):
                save(options.results, [line], KEY, __file__)
    wanted = {"data": [table.name for table in tables], "seed": seeds, "frozen": [options.frozen]}
    wanted |= {"first": [options.first], "more": [options.more]}
    print(markdown(lines_of(only(pd.DataFrame(saved(options.results)), **wanted)), SHOWN))


if __name__ == "__main__":
    main()
