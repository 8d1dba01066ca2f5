"""The models and a majority-class dummy side by side, the champion, and the summary of it."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from paratopic.corpus.folds import iterate_folds
from paratopic.corpus.table import targets_of
from paratopic.evaluation.intervals import difference, estimates
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.scores import Targets, one_hot
from paratopic.labels.log import first_words
from paratopic.project.params import Params
from paratopic.project.topics import Topics

DUMMY = "dummy"

# From the simplest: a model has to be better than each simpler one to be champion.
ORDER = (DUMMY, "baseline", "transformer")

SHOWN = {
    "single": ("macro_f1", "accuracy", "log_loss", "brier", "ece"),
    "multi": ("macro_f1", "micro_f1", "map", "subset_accuracy", "log_loss", "ece"),
}

LEGEND = {
    "single": "Macro-F1 and accuracy: higher is better; log loss, Brier score and ECE: lower is "
    "better.",
    "multi": "F1, map (mean average precision) and subset accuracy (all of a paragraph's topics "
    "right): higher is better; log loss and ECE: lower is better.",
}

# What the dummy does.
ALWAYS = {"single": "saying the most common topic", "multi": "naming every topic"}


def majority_scores(rows: pd.DataFrame, topics: Topics, folds: pd.DataFrame) -> pd.DataFrame:
    """Out-of-fold scores of the dummy: the topics' shares in each training part.

    The most common topic is the most probable; in mode multi it names all, which of all answers
    that are always the same has the highest macro-F1.
    """
    parts = []
    targets, ids = targets_of(rows, topics.names), rows["id"].to_numpy()
    for repeat, fold, train, test in iterate_folds(folds, list(ids)):
        counts = targets[train].sum(axis=0)
        share = counts / (counts.sum() if topics.mode == "single" else len(train))
        part = pd.DataFrame(np.tile(share, (len(test), 1)), columns=list(topics.names))
        part[topics.thresholds] = 0.0
        part.insert(0, "id", ids[test])
        part.insert(1, "repeat", repeat)
        part.insert(2, "fold", fold)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def compare(found: dict[str, Outcomes], params: Params) -> dict[str, Any]:
    """Estimates of every model, every paired difference, and the champion."""
    level, draws, seed = params.evaluate.confidence, params.evaluate.n_draws, params.seed
    models = {}
    for name, outcome in found.items():
        measured = estimates(outcome, level, draws, seed)
        models[name] = {metric: asdict(measured[metric]) for metric in SHOWN[params.topics.mode]}
    differences = {}
    for simpler, other in combinations(found, 2):
        result = difference(
            found[other], found[simpler], level, draws, params.compare.n_permutations, seed
        )
        differences[f"{other} - {simpler}"] = asdict(result) | {
            "significant": result.p <= params.compare.alpha
        }
    trained = [name for name in found if name != DUMMY]
    champion = trained[0]
    for name in trained[1:]:
        lead = differences[f"{name} - {champion}"]
        if lead["significant"] and lead["value"] > 0:
            champion = name
    return {"models": models, "differences": differences, "champion": champion}


def answered(found: Outcomes) -> Targets:
    """What a model says of each row over all repeats, (n, k)."""
    if found.mode == "single":
        return one_hot(np.asarray(found.scores.mean(axis=0).argmax(axis=1)), found.k)
    return np.asarray(found.named.mean(axis=0) >= 0.5)


def summary(report: dict[str, Any], wrong: pd.DataFrame, params: Params) -> str:
    """The comparison for people, as markdown."""
    level = f"{params.evaluate.confidence:.0%}"
    alpha = f"{params.compare.alpha:.0%}"
    mode, metrics = params.topics.mode, SHOWN[params.topics.mode]
    lines = [
        "# Comparison of models",
        "",
        f"{report['n']} paragraphs labelled by {report['labels']}, {report['n_repeats']} × "
        f"{report['n_folds']} folds split by {report['split_unit']}. Every figure is out-of-fold, "
        f"with its {level} interval.",
        "",
    ]
    lines += [f"> {note}" for note in report["notes"]]
    lines += [
        "",
        "| model | " + " | ".join(name.replace("_", " ") for name in metrics) + " |",
        "|---|" + "---|" * len(metrics),
    ]
    for name, measured in report["models"].items():
        cells = [
            f"{e['value']:.3f} ({e['low']:.3f} to {e['high']:.3f})"
            for e in (measured[metric] for metric in metrics)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if report["annotators"]:
        lines += ["", human(report["annotators"])]
    lines += [
        "",
        LEGEND[mode],
        "",
        "## What is significant",
        "",
        f"Differences in macro-F1 with {level} intervals; paired permutation test that swaps the "
        "answers of whole groups, all repeats together (Yeh 2000).",
        "",
    ]
    for name, d in report["differences"].items():
        verdict = "significant" if d["significant"] else "not significant: within noise"
        lines.append(
            f"- {name.replace(' - ', ' − ')}: {d['value']:+.3f} ({d['low']:+.3f} to "
            f"{d['high']:+.3f}), p = {d['p']:.4f}, {verdict} at {alpha}"
        )
    lines += [
        "",
        f"## Champion: {report['champion']}",
        "",
        "Rule: the simplest model, unless a more complex one has a higher macro-F1 and the "
        f"difference is significant at {alpha}.",
    ]
    against = report["differences"][f"{report['champion']} - {DUMMY}"]
    if not (against["significant"] and against["value"] > 0):
        lines += ["", f"It is not significantly better than always {ALWAYS[mode]}."]
    lines += ["", "## Paragraphs that every model gets wrong", ""]
    if wrong.empty:
        lines.append("None.")
    for row in wrong.to_dict("records"):
        said = ", ".join(f"{m}: {row[m] or 'none'}" for m in report["models"] if m != DUMMY)
        topic, words = row["topic"] or "none", first_words(row["text"], 160)
        lines.append(f"- **{topic}** ({said}) {words} …")
    return "\n".join(lines) + "\n"


def human(agreed: dict[str, Any]) -> str:
    """Annotators' agreement for people, as a paragraph of markdown."""

    def shown(value: float | None) -> str:
        return "not defined" if value is None else f"{value:.3f}"

    kappas = ", ".join(f"{name} {shown(kappa)}" for name, kappa in agreed["kappa"].items())
    return (
        f"People against each other: macro-F1 {shown(agreed['macro_f1'])}, the ceiling of what a "
        f"model can reach. {len(agreed['annotators'])} annotators on {agreed['paragraphs']} "
        f"paragraphs that several judged; Krippendorff's alpha {shown(agreed['alpha'])}; Cohen's "
        f"kappa: {kappas}."
    )
