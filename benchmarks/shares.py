"""Whether shares of topics are right as users get them: the pipeline's own stages and defaults.

For each draw there is a project of its own. Texts are drawn as `paratopic label --random` draws
them, with and without `--by`, and get the table's own labels. Stages prepare, split and score run,
and shares are estimated as `paratopic shares` does. With `--tables`, rows of two tables are drawn,
each of which is `random: true`, or of one of them. Beside the shares are those of the labels alone,
which use no model, those of counted answers, and the mean prediction without a correction.

A draw takes minutes, so that draws whose figures are there are not done again.

    python benchmarks/shares.py --data SENTENCES --none other --time year --by decade --per 40
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from record import done, parser_of, rows_of, save
from ruamel.yaml import YAML
from tables import markdown

from paratopic.annotation.suggestion import draw_from_groups, draw_random
from paratopic.cli.shares import read_corpus
from paratopic.corpus.folds import TooFewLabels
from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import groups_by, read_parquet, with_metadata
from paratopic.corpus.unlabelled import MOST_TEXTS
from paratopic.findings.groups import ALL, group
from paratopic.findings.population import Corpus
from paratopic.findings.shares import Part, shares, shares_of_parts
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array
from paratopic.project import files
from paratopic.project.params import read_params
from paratopic.stages import installed, prepare, score, split, train

CONFIDENCE = 0.95
# A topic of no larger share of the corpus is rare.
RARE = 0.024
# Of the tables of `--tables`: rows of the first one, a part of which has the most frequent label,
# times as many in the second, and rows that are drawn from each.
ROWS, MOSTLY, TIMES, DRAWN = 200, 0.9, 8, 60
KEY = ["data", "model", "design", "draw", "what", "rare", "method"]
SHOWN = {
    "table": "{data}",
    "model": "{model}",
    "labels": "{design}",
    "draws": "{draws}",
    "shares of": "{what}",
    "rare topics": "{rare}",
    "method": "{method}",
    "error": "{error:.1f}",
    "squared, beside labels alone": "{ratio:.2f} ± {ratio_error:.2f}",
    "width": "{width:.1f}",
    "intervals": "{intervals:.0%}",
    "hold in": "{held:.1%} ± {held_error:.1f}",
}


def design_of(arguments: argparse.Namespace) -> str:
    """The design of the draws in words, which is part of the key of results."""
    if arguments.tables:
        return f"{DRAWN} of each of {arguments.tables} of two tables"
    parts = [f"{arguments.all} of all"] if arguments.all else []
    parts += [f"{arguments.per} of each {arguments.by}"] if arguments.per else []
    return " and ".join(parts)


def rows_of_table(arguments: argparse.Namespace) -> pd.DataFrame:
    """The table, with columns that a project reads, and its own labels in the column truth."""
    rows = pd.read_parquet(arguments.data)
    if arguments.only:
        column, *values = arguments.only
        rows = rows[rows[column].astype(str).isin(values)]
    rows = rows.drop_duplicates("text")
    if arguments.rows and len(rows) > arguments.rows:
        rows = rows.sample(arguments.rows, random_state=read_params().seed).sort_index()
    beside = [name for name in ("text_preceding", "text_following") if name in rows]
    table = rows[["text", *beside]].assign(truth=rows["label"].astype(str))
    table["truth"] = table["truth"].mask(table["truth"].isin(arguments.none), "")
    if rows["group"].nunique() > 1:
        table["group"] = rows["group"]
    if arguments.time:
        table["date"] = rows[arguments.time].astype(str)
    return table.reset_index(drop=True)


def two_tables(rows: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """A small table that is mostly about one topic, and a large one that hardly is."""
    topic = rows["truth"][rows["truth"] != ""].value_counts().index[0]
    rows = rows.drop(columns="group", errors="ignore").sample(frac=1, random_state=seed)
    has = rows["truth"] == topic
    n, n_topic = ROWS, int(MOSTLY * ROWS)
    old = pd.concat([rows[has][:n_topic], rows[~has][: n - n_topic]])
    n_more = len(rows[has][n_topic:]) // 2
    new = pd.concat([rows[has][n_topic:][: min(n_more, n // 5)], rows[~has][n - n_topic :]])
    return {
        name: table.iloc[: TIMES * n].sample(frac=1, random_state=seed)
        for name, table in {"old": old, "new": new.sample(frac=1, random_state=seed)}.items()
    }


def make_project(tables: Mapping[str, pd.DataFrame], drawn: int, model: str) -> pd.DataFrame:
    """Make the current directory a project of these tables; returns its paragraphs with truth.

    Parameters
    ----------
    drawn
        Number of tables of which the first `DRAWN` rows are labelled, and `random: true`.
    """
    settings = YAML(typ="safe").load(files.PARAMS)
    names = sorted({*pd.concat(tables.values())["truth"]} - {""})
    settings["models"] = [model]
    settings["topics"] = {"mode": "single", "codebook": [{"name": name} for name in names]}
    settings["prepare"] |= {"labels": "labels.csv", "sources": [], "no_topic": ["(none)"]}
    settings["prepare"]["skip_boilerplate"] = False
    truth = []
    for number, (name, table) in enumerate(tables.items()):
        label = table["truth"].replace("", "(none)").where(np.arange(len(table)) < DRAWN, "")
        columns = {"label": label} if number < drawn else {}
        table.drop(columns="truth").assign(**columns).to_csv(f"{name}.csv", index=False)
        source = {"path": f"{name}.csv"} | ({"random": True} if columns else {"label": None})
        settings["prepare"]["sources"].append(source)
        truth.append(table["truth"])
    YAML(typ="safe").dump(settings, files.PARAMS)
    files.write_text(Path("labels.csv"), "paragraph,topics,text,annotator,when,drawn\n")
    installed.main()
    run(prepare)
    frame = with_metadata(read_labelled_paragraphs())
    return frame.assign(truth=pd.concat(truth).to_numpy())


def run(stage: Any, *words: str) -> None:
    """Run a stage in the current directory; what it prints is shown if it fails."""
    printed, sys.argv = io.StringIO(), ["stage", *words]
    try:
        with contextlib.redirect_stdout(printed):
            stage.main()
    except Exception:
        print(printed.getvalue())
        raise


def label(frame: pd.DataFrame, arguments: argparse.Namespace, draw: int) -> None:
    """Label paragraphs that are drawn from all, then from the groups."""
    drawn: dict[str, str] = {}
    if arguments.all:
        drawn |= draw_random(read_labelled_paragraphs(), (), arguments.all, draw)
        write_labels(frame, drawn)
        run(prepare)
    if arguments.per:
        members = groups_by(frame, arguments.by)
        n = sum(min(arguments.per, len(texts)) for texts in members.values())
        drawn |= draw_from_groups(read_labelled_paragraphs(), [*drawn], members, n, draw)
        write_labels(frame, drawn)
        run(prepare)


def write_labels(frame: pd.DataFrame, drawn: Mapping[str, str]) -> None:
    """Write labels.csv, in the order in which paragraphs are drawn."""
    truth, clock = (
        dict(zip(frame["id"], frame["truth"], strict=True)),
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    lines = [
        {"paragraph": id_, "topics": truth[id_], "text": "", "annotator": "table"}
        | {"when": (clock + timedelta(seconds=second)).isoformat(), "drawn": how}
        for second, (id_, how) in enumerate(drawn.items())
    ]
    pd.DataFrame(lines).to_csv("labels.csv", index=False)


def figures(corpus: Corpus, by: str | None) -> Iterator[tuple[str, str, Part, Array]]:
    """What shares are of, the method, the shares, and how much each text of the part counts."""
    mode, blind = mode_of("single"), corpus.blind()
    answers = mode.outcomes(mode.predicted(corpus.probabilities[:, :-1], (1.0,))).astype(float)
    whole = np.ones(len(corpus.rows))
    parts = {ALL: [corpus.masses(whole, copies=True)]}
    if by:
        parts["groups"] = [
            corpus.masses(each, copies=True) for each in group(corpus.rows, [by]).members
        ]
    for what, masses in parts.items():
        alone = [shares(blind, mass, CONFIDENCE) for mass in masses]
        ours = shares_of_parts(corpus, masses, CONFIDENCE)
        for mass, one, other in zip(masses, ours, alone, strict=True):
            yield what, "paratopic", one, mass
            yield what, "labels alone", other, mass
            for method, values in (("counted", answers), ("mean", corpus.probabilities)):
                yield what, method, _without_interval(mass @ values / mass.sum()), mass


def _without_interval(values: Array) -> Part:
    from paratopic.evaluation.estimates import Estimate

    return Part(tuple(Estimate(float(value)) for value in values), 0)


def cells(corpus: Corpus, truth: Array, by: str | None) -> pd.DataFrame:
    """A line for each kind of share, method and outcome of each part."""
    lines = []
    rare = truth.mean(axis=0) <= RARE
    for what, method, part, mass in figures(corpus, by):
        for share, true, is_rare in zip(part.shares, mass @ truth / mass.sum(), rare, strict=True):
            error = 100 * (share.value - true)
            line = {"what": what, "rare": bool(is_rare), "method": method, "squared": error**2}
            if share.low is not None and share.high is not None and not part.counted:
                line["held"] = float(share.low - 1e-9 <= true <= share.high + 1e-9)
                line["width"] = 100 * (share.high - share.low)
            lines.append(line)
    return pd.DataFrame(lines, columns=["what", "rare", "method", "squared", "held", "width"])


def one_draw(arguments: argparse.Namespace, rows: pd.DataFrame, draw: int) -> pd.DataFrame:
    """The `cells` of a draw, in whose project the current directory is."""
    tables, drawn = {"table": rows}, 0
    if arguments.tables:
        tables, drawn = two_tables(rows, draw), {"both": 2, "one": 1}[arguments.tables]
    frame = make_project(tables, drawn, arguments.model)
    if not drawn:
        label(frame, arguments, draw)
    run(split)
    run(score, arguments.model)
    if len(rows) > MOST_TEXTS:  # models of the folds predict some of them alone
        run(train, arguments.model)
    scores = read_parquet(files.SCORES / arguments.model / "scores.parquet")
    topics = read_params().topics
    corpus = read_corpus(topics, arguments.model, scores)
    own = dict(zip(frame["text"], frame["truth"], strict=True))
    has = corpus.rows.drop_duplicates("text")["text"].map(own)
    truth = np.column_stack([has == name for name in [*topics.names, ""]]).astype(np.float64)
    return cells(corpus, truth, arguments.by)


def summary(lines: pd.DataFrame) -> pd.DataFrame:
    """Means over draws, each of which counts alike, and standard errors between draws."""
    key = [name for name in KEY if name != "draw"]
    alone = lines[lines["method"] == "labels alone"].set_index([*key[:-1], "draw"])["squared"]
    places = pd.MultiIndex.from_frame(lines[[*key[:-1], "draw"]])
    lines = lines.assign(alone=alone.reindex(places).to_numpy())
    rows = []
    for names, part in lines.groupby(key, sort=False):
        n, base = len(part), max(1e-9, float(part["alone"].sum()))
        n_intervals, scale = max(1, part["intervals"].sum()), (n / max(n - 1, 1)) ** 0.5
        ratio, held = part["squared"].sum() / base, part["held"].sum() / n_intervals
        gaps = part["squared"] - ratio * part["alone"]
        misses = part["held"] - held * part["intervals"]
        rows.append(
            dict(zip(key, names, strict=True))
            | {"draws": n, "error": part["squared"].mean() ** 0.5}
            | {"ratio": ratio, "ratio_error": scale * (gaps**2).sum() ** 0.5 / base}
            | {"width": part["width"].mean(), "held": held}
            | {"held_error": 100 * scale * (misses**2).sum() ** 0.5 / n_intervals}
            | {"intervals": part["intervals"].sum() / part["figures"].sum()}
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", type=Path, required=True, help="a parquet file")
    parser.add_argument("--none", nargs="*", default=[], help="labels that mean: no topic")
    parser.add_argument("--only", nargs="+", metavar="COLUMN VALUE", help="rows to take")
    parser.add_argument("--rows", type=int, help="number of rows to take at random")
    parser.add_argument("--time", help="column that becomes the date")
    parser.add_argument("--by", help="column or period to divide the texts by")
    parser.add_argument("--per", type=int, default=0, help="labels drawn from each group")
    parser.add_argument("--all", type=int, default=0, help="labels drawn from all before that")
    parser.add_argument("--tables", choices=["both", "one"], help="draw rows of two tables")
    parser.add_argument("--model", default="transformer")
    parser.add_argument("--first", type=int, default=0, help="the first draw")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder to keep the projects in")
    arguments = parser.parse_args()
    name = arguments.data.stem + (f" {arguments.only[0]}s" if arguments.only else "")
    about = {"data": name, "model": arguments.model, "design": design_of(arguments)}
    rows, settings = rows_of_table(arguments), files.PARAMS.read_text(encoding="utf-8")
    results, home = arguments.results.resolve(), Path.cwd()
    there = {tuple(key[:4]) for key in done(arguments, KEY)}
    for draw in range(arguments.first, arguments.first + arguments.draws):
        if (*about.values(), draw) in there:
            continue
        with TemporaryDirectory() as temporary:
            folder = arguments.work.resolve() if arguments.work else Path(temporary)
            folder = folder / " ".join(map(str, [*about.values(), draw])).replace("/", "-")
            folder.mkdir(parents=True, exist_ok=True)
            os.chdir(folder)
            files.PARAMS.write_text(settings, encoding="utf-8")
            try:
                lines = one_draw(arguments, rows, draw)
            except TooFewLabels as error:
                print(f"{about['design']}, draw {draw}: {error}")
                continue
            finally:
                os.chdir(home)
        found = lines.groupby(["what", "rare", "method"], sort=False, as_index=False).agg(
            squared=("squared", "mean"),
            figures=("squared", "size"),
            intervals=("held", "count"),
            held=("held", "sum"),
            width=("width", "mean"),
        )
        save(results, [about | {"draw": draw} | line for line in rows_of(found)], KEY, __file__)
        print(f"{about['design']}, draw {draw}: done", flush=True)
    figures_there = save(results, [], KEY, __file__)
    print(markdown(rows_of(summary(figures_there)), SHOWN))


if __name__ == "__main__":
    main()
