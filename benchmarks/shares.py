"""Whether shares of topics are right as users get them: the pipeline's own stages and defaults.

For each draw there is a project of its own. Texts are drawn as `paratopic label --random` draws
them, with and without `--by`, and get the table's own labels. Stages from prepare to package run,
and shares are estimated as `paratopic shares` does. With `--tables`, rows of two tables are drawn,
each of which is `random: true`, or of one of them. Beside the shares are those of the labels alone,
which use no model, those of counted answers, the mean prediction without a correction, and shares
that are corrected in the same way, but predicted by the plainest recipes: scikit-learn's logistic
regression on TF-IDF features or on the frozen encoder, and plain fine-tuning. Differences, trends
and regressions are measured too.

A draw takes minutes, so that draws whose figures are there are not done again.

    python benchmarks/shares.py --data SENTENCES --none other --time year --by decade --per 40
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import recipes
from record import done, parser_of, rows_of, save
from ruamel.yaml import YAML
from shares_frozen import CONFIDENCE, RARE
from simulation import embeddings
from statsmodels.api import OLS
from tables import markdown

from paratopic.annotation.suggestion import draw_from_groups, draw_random
from paratopic.corpus.folds import MOST_TEXTS, TooFewLabels
from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import groups_by, read_parquet, with_metadata
from paratopic.findings.groups import ALL, COUNT, find_shares, group_rows
from paratopic.findings.population import Corpus, TablePredictor, corpus_of
from paratopic.findings.shares import adjusted_outcomes
from paratopic.inference.modes import Array, mode_of
from paratopic.project import files
from paratopic.project.files import Paths
from paratopic.project.params import Params
from paratopic.results.project import Project
from paratopic.stages import calibrate, fit, installed, package, prepare, split, train

# Of the tables of `--tables`: rows of the first one, a part of which has the most frequent label,
# times as many in the second, and rows that are drawn from each.
ROWS, MOSTLY, TIMES, DRAWN = 200, 0.9, 8, 60
# The plainest ones; fine-tuning takes longer than all else.
RECIPES = ("frozen", "TF-IDF", "fine-tuned")
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
        rows = rows.sample(arguments.rows, random_state=Project().params.seed).sort_index()
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
    settings = YAML(typ="safe").load(Paths().params)
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
    YAML(typ="safe").dump(settings, Paths().params)
    files.write_text(Path("labels.csv"), "paragraph,topics,text,annotator,when,drawn\n")
    installed.main(Project())
    run(prepare)
    frame = with_metadata(read_labelled_paragraphs(Paths()), read_parquet(Paths().metadata))
    return frame.assign(truth=pd.concat(truth).to_numpy())


def run(stage: Any, *words: str) -> None:
    """Run a stage in the current directory; what it prints is shown if it fails."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            stage.main(Project(), *words)
    except Exception:
        print(printed.getvalue())
        raise


def label(frame: pd.DataFrame, arguments: argparse.Namespace, draw: int) -> None:
    """Label paragraphs that are drawn from all, then from the groups."""
    drawn: dict[str, str] = {}
    if arguments.all:
        drawn |= draw_random(read_labelled_paragraphs(Paths()), (), arguments.all, draw)
        write_labels(frame, drawn)
        run(prepare)
    if arguments.per:
        members = groups_by(frame, arguments.by)
        n = sum(min(arguments.per, len(texts)) for texts in members.values())
        drawn |= draw_from_groups(read_labelled_paragraphs(Paths()), [*drawn], members, n, draw)
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


def as_count(corpus: Corpus, values: Array) -> Corpus:
    """The corpus as if these outcomes of all texts, (N, K), were known."""
    n = len(corpus.probabilities)
    return replace(
        corpus.without_predictions(),
        labelled=np.arange(n),
        truth=values,
        weights=np.ones(n),
        effective_counts=np.ones(n),
        articles=None,
    )


def estimates(corpus: Corpus, by: str | None) -> pd.DataFrame:
    """Shares of all and of groups, differences and trends, as `paratopic shares` has them.

    Columns value, low and high, in points; the index has what it is, of which group, and the topic.
    """
    findings = find_shares(corpus, [by] if by else [], CONFIDENCE)
    table = findings.table.rename(columns={"share": "value"})
    of_group = table[by] if by else pd.Series(ALL, table.index)
    table = table.assign(key=of_group, what=np.where(of_group == ALL, ALL, "groups"))
    known = table["rests_on"] != COUNT
    table[["low", "high"]] = table[["low", "high"]].where(known)
    changes = findings.changes.rename(columns={"change": "value", "what": "key"})
    is_trend = changes["key"].astype(str).str.startswith("trend")
    changes = changes.assign(what=np.where(is_trend, "trends", "differences"))
    both = pd.concat([table, changes] if len(changes) else [table], ignore_index=True)
    return both.set_index(["what", "key", "topic"])[["value", "low", "high"]] * 100


def coefficients(corpus: Corpus, outcomes: Array, by: str | None) -> pd.DataFrame:
    """Regressions of outcomes (N, K) on time and on whether a text is long, as `estimates`."""
    grouping = group_rows(corpus.rows, [by]) if by else None
    names = ["what", "key", "topic", "value", "low", "high"]
    lines = []
    if grouping is not None and grouping.times:
        each = zip(grouping.keys, grouping.members, strict=True)
        times = np.sum([inside * grouping.times[key] for key, inside in each], axis=0)
        n_words = corpus.rows["text"].str.split().map(len).to_numpy()
        x = np.column_stack([np.ones(len(times)), times, n_words > np.median(n_words)])
        x = x[np.unique(corpus.text_numbers, return_index=True)[1]]
        for number in np.flatnonzero(corpus.truth.any(axis=0)):  # others are left out of --rows
            fitted = OLS(outcomes[:, number], x).fit(cov_type="HC1")
            ends = fitted.conf_int(1 - CONFIDENCE)
            for place, term in enumerate(("time", "long"), 1):
                value = (fitted.params[place], *ends[place])
                lines.append(("regressions", term, corpus.outcomes[number], *value))
    return pd.DataFrame(lines, columns=names).set_index(names[:3]).astype(float) * 100


def figures(
    corpus: Corpus, plain: Mapping[str, Corpus], by: str | None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Method → its `estimates` and `coefficients`.

    Parameters
    ----------
    plain
        Name of a plain recipe → the corpus with its predictions in place of the model's.
    """
    mode, ones = mode_of("single"), np.ones(len(corpus.probabilities))
    for method, each in {
        "paratopic": corpus,
        "labels alone": corpus.without_predictions(),
        **plain,
    }.items():
        yield (
            method,
            pd.concat([estimates(each, by), coefficients(each, adjusted_outcomes(each, ones), by)]),
        )
    answers = mode.outcomes(mode.predicted(corpus.probabilities[:, :-1], (1.0,))).astype(float)
    for method, values in (("counted", answers), ("mean", corpus.probabilities)):
        known = as_count(corpus, values)
        whole = estimates(known, by).assign(low=np.nan, high=np.nan)
        yield method, pd.concat([whole, coefficients(corpus, values, by)])


def cells(
    corpus: Corpus, plain: Mapping[str, Corpus], truth: Array, by: str | None
) -> pd.DataFrame:
    """A line for each figure of each method: its squared error, width, and whether it holds."""
    known = as_count(corpus, truth)
    true = pd.concat([estimates(known, by), coefficients(corpus, truth, by)])["value"]
    shares = true.xs(ALL).droplevel(0)
    lines = []
    for method, table in figures(corpus, plain, by):
        table = table.join(true.rename("true"))
        line = pd.DataFrame({"method": method, "squared": (table["value"] - table["true"]) ** 2})
        inside = table["true"].between(table["low"] - 1e-7, table["high"] + 1e-7)
        has_interval = table["low"].notna() & (table["high"] > table["low"])
        line["held"] = inside.where(has_interval).astype(float)
        line["width"] = (table["high"] - table["low"]).where(has_interval)
        lines.append(line.reset_index())
    every = pd.concat(lines, ignore_index=True)
    return every.assign(rare=every["topic"].map(shares) <= 100 * RARE)


def plain_recipes(
    frame: pd.DataFrame, params: Params, arguments: argparse.Namespace, seed: int
) -> dict[str, pd.DataFrame]:
    """Scores of all texts by the plainest recipes in the first repeat of the project's folds.

    They learn from the labels outside of a text's fold, and see single texts.
    """
    labels = dict(zip(frame["text"], frame["truth"], strict=True))
    folds = read_parquet(Paths().folds).query("repeat == 0")
    dealt = pd.concat([folds, read_parquet(Paths().unlabelled).query("repeat == 0")])
    text_of, names = frame.set_index("id")["text"], params.topics.names
    known = embeddings(list(frame["text"]), params, arguments.kept)

    def probabilities(recipe: str, texts: list[str], others: list[str]) -> Any:
        """Classes and their probabilities of the other texts, by labels of the first ones."""
        y = [labels[text] for text in texts]
        if recipe == "fine-tuned":
            return recipes.tuned_probabilities(texts, y, others, params, seed)
        if recipe == "TF-IDF":
            words = recipes.on_words().fit(texts, y)
            return words.classes_, words.predict_proba(others)
        vectors, of_others = (np.array([known[text] for text in each]) for each in (texts, others))
        model = recipes.regression().fit(vectors, y)
        return model.classes_, model.predict_proba(of_others)

    tables: dict[str, list[pd.DataFrame]] = {recipe: [] for recipe in arguments.recipes}
    for fold in sorted({*folds["fold"]}):
        texts = list(text_of.loc[folds["id"][folds["fold"] != fold]])
        ids = dealt["id"][dealt["fold"] == fold]
        for recipe, parts in tables.items():
            classes, values = probabilities(recipe, texts, list(text_of.loc[ids]))
            scores = pd.DataFrame(values, columns=classes).reindex(columns=names, fill_value=0.0)
            scores.columns = pd.Index(params.topics.score_columns)
            parts.append(scores.assign(id=ids.to_numpy()))
    return {recipe: pd.concat(parts, ignore_index=True) for recipe, parts in tables.items()}


def one_draw(arguments: argparse.Namespace, rows: pd.DataFrame, draw: int) -> pd.DataFrame:
    """The `cells` of a draw, in whose project the current directory is."""
    tables, drawn = {"table": rows}, 0
    if arguments.tables:
        tables, drawn = two_tables(rows, draw), {"both": 2, "one": 1}[arguments.tables]
    frame = make_project(tables, drawn, arguments.model)
    if not drawn:
        label(frame, arguments, draw)
    run(split)
    run(fit, arguments.model)
    run(calibrate, arguments.model)
    if len(rows) > MOST_TEXTS:  # models of the folds predict some of them alone
        run(train, arguments.model)
        run(package, arguments.model)
    scores = read_parquet(Paths().scores / arguments.model / files.IN_CONTEXT)
    project, plain = Project(), {}
    labelled, params = read_labelled_paragraphs(project.paths), project.params
    everything = with_metadata(labelled, read_parquet(project.paths.metadata))
    predictor = project.cross_predictor(arguments.model, scores, labelled)
    corpus = corpus_of(labelled, everything, predictor, params.topics)
    # Where labels rest on a part of the corpus, or no folds held out articles, there is none.
    if not corpus.frames and corpus.has_predictions and len(rows) <= MOST_TEXTS:
        for name, table in plain_recipes(frame, params, arguments, draw).items():
            given = TablePredictor(table, name)
            plain[name] = corpus_of(labelled, everything, given, params.topics)
    own = dict(zip(frame["text"], frame["truth"], strict=True))
    has = corpus.rows.drop_duplicates("text")["text"].map(own)
    truth = np.column_stack([has == name for name in [*params.topics.names, ""]]).astype(np.float64)
    return cells(corpus, plain, truth, arguments.by)


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
    parser.add_argument("--recipes", nargs="*", default=RECIPES, choices=RECIPES)
    parser.add_argument("--kept", type=Path, help=".npz to keep embeddings in")
    parser.add_argument("--work", type=Path, help="folder to keep the projects in")
    arguments = parser.parse_args()
    name = arguments.data.stem + (f" {arguments.only[0]}s" if arguments.only else "")
    about = {"data": name, "model": arguments.model, "design": design_of(arguments)}
    rows, settings = rows_of_table(arguments), Paths().params.read_text(encoding="utf-8")
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
            Paths().params.write_text(settings, encoding="utf-8")
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
