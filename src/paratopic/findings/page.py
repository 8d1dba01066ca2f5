"""The report as one page that needs no other file and no network.

This module measures nothing. page.html has the text, and `figures` makes charts as SVG inside it.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paratopic.corpus.folds import Split
from paratopic.corpus.labelled import labelled_in, read_labelled_paragraphs
from paratopic.corpus.table import passages_for, targets_of
from paratopic.evaluation import model_report
from paratopic.evaluation.comparison import Comparison, describe_weak
from paratopic.evaluation.intervals import write_p
from paratopic.evaluation.model_report import Metrics, ModelReport
from paratopic.findings import figures, share_tables, wording
from paratopic.findings.review import rank_doubtful, read_scores
from paratopic.inference.modes import mode_of
from paratopic.labels.summary import Prepared, describe_agreement
from paratopic.project import files
from paratopic.project.errors import in_units, plural, shortened, signed
from paratopic.project.files import FINAL, Paths
from paratopic.project.kinds import KINDS
from paratopic.project.reports import Final
from paratopic.project.topics import NO_TOPIC_SHORT, Topics, split_cell

TEMPLATE = Path(__file__).with_name("page.html")
# Longest excerpt of a paragraph, and of its neighbours, in characters.
EXCERPT, CONTEXT_CHARACTERS = 900, 200
# Number of topics with bars, in addition to those of the label.
N_PROBABLE = 6
# Command that writes the files.
REPRO = "`dvc repro`"
# Columns of texts, whose cells may look like numbers or be words like "null".
TEXTS = dict.fromkeys(("id", "article", "heading", "text", "answer", "label"), str)
# Name of a table → options for reading it.
TABLES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("predictions", "confusion"), {"keep_default_na": False, "dtype": TEXTS}),
    **dict.fromkeys(("reliability", "risk", "training", "final"), {}),
}


def render_page(
    paths: Paths,
    topics: Topics,
    names: Sequence[str],
    unit: str,
    on_request: Mapping[str, object] | None = None,
) -> str:
    """Make the page, HTML without links to files, from the files that stages wrote in a project.

    A `UserError` reports a file that is missing, damaged or out of date.

    Parameters
    ----------
    names
        Names of the trained models, in any order.
    unit
        Name of a paragraph on the page.
    on_request
        Sections that need the champion to be loaded; None, the default, for a page without them.
        These are `shares` (a `wording.Overview`), `labels` (a line on the sample of labels),
        `mistakes` of the champion (`results.project.Mistakes`) and `labelled`, which finds the
        labelled paragraph most similar to a text. Shares or mistakes may be a line with the reason
        why there are none.
    """
    prepared, comparison = Prepared.load(paths.prepared), Comparison.load(paths.comparison)
    frame = read_labelled_paragraphs(paths)
    reviewed = rank_doubtful(*read_scores(paths, labelled_in(frame, topics), names), topics)
    models = [read_report(paths.model_reports / name) for name in names]
    models.sort(key=lambda model: model.name != comparison.champion)
    training_notes = [f"{model.name}: {note}" for model in models for note in model.shipped.notes]
    templates = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    in_words = partial(in_units, unit=unit)
    templates.filters |= {"percent": lambda share: f"{share_tables.percent(share)}%", "svg": as_svg}
    templates.filters["in_words"] = in_words
    return templates.from_string(in_words(TEMPLATE.read_text(encoding="utf-8"))).render(
        plural=plural,
        write_p=write_p,
        topics=topics,
        prepared=prepared,
        split=Split.load(paths.split),
        comparison=comparison,
        people=[*map(in_words, describe_agreement(comparison.annotators))],
        sources=[*map(in_words, describe_weak(prepared, comparison))],
        notes=[*map(in_words, [*comparison.notes, *prepared.messages, *training_notes])],
        models=models,
        metrics=comparison.metrics,
        lead=comparison.differences.get(f"{comparison.champion} - dummy"),
        kinds=KINDS,
        # The template calls these functions only in sections that it shows.
        figures=figures,
        tables=share_tables,
        wording=wording,
        report=model_report,
        signed=signed,
        risks_by_coverage=risks_by_coverage,
        list_mistakes=lambda: list_mistakes(models, topics, frame),
        on_request=on_request,
        doubtful=reviewed[reviewed["reason"] != ""].to_dict("records"),
        n_unsure=int(reviewed["unsure"].sum()),
    )


def read_report(folder: Path) -> ModelReport:
    """Read final.json, metrics.json and the CSV files of `TABLES` from a model's folder of reports.

    A `UserError` reports a missing or damaged file.
    """
    final, metrics = Final.load(folder / FINAL), Metrics.load(folder / "metrics.json")
    tables = {}
    for name, options in TABLES.items():
        tables[name] = files.read_csv(folder / f"{name}.csv", REPRO, **options)
    return ModelReport(folder.name, final, metrics, tables)


@figures.STYLED
def as_svg(chart: Figure, title: str) -> str:
    """Convert a chart to an `<svg>` element, with the page's font and its colours as variables.

    A `gid` with a blank becomes a tooltip. `title` describes the chart for people who cannot see
    it, and differs from that of any other chart of the page.
    """
    file = io.StringIO()
    matplotlib.rcParams["svg.hashsalt"] = title  # Ids differ between the charts of the page.
    with figures.without_warnings():
        chart.savefig(file, format="svg", transparent=True)
    head, group, inside = file.getvalue().partition("<g ")
    box = re.findall('viewBox="[^"]*"', head)[0]
    inside = re.sub(r"<clipPath.*?</clipPath>", "", group + inside, flags=re.S)
    inside = re.sub(r' (clip-path="|transform="rotate\(-0 )[^"]*"', "", inside)
    inside = re.sub(r'<g id="[^" ]*">', "<g>", inside)
    inside = re.sub(r'<g id="([^"]*)">', r"<g><title>\1</title>", inside)
    inside = re.sub(r"\s+", " ", inside).replace("> <", "><")
    inside = inside.replace(f"'{figures.FONT}'", "system-ui")
    inside = re.sub(r"\d+\.\d\d+(?=[^<>]*>)", lambda number: f"{float(number[0]):.1f}", inside)
    for name, colour in figures.COLOURS.items():
        inside = inside.replace(colour, f"var(--{name})")
    return f'<svg {box} role="img" aria-label="{html.escape(title)}">{inside}'


def list_mistakes(
    models: Sequence[ModelReport], topics: Topics, paragraphs: pd.DataFrame
) -> list[dict[str, Any]]:
    """List paragraphs that the first model predicts wrongly, the least probable label first.

    All models predict the same rows. `paragraphs` are all those of the articles, for the context.

    Returns
    -------
    For each paragraph id, heading, text (cut) and whole (uncut); before and after, the end of the
    previous paragraph in its article and the beginning of the next one, "" for none; label, a str
    of the topics, "(none)" without any; answers (model → the same of its prediction, the first
    model first); and bars, the `N_PROBABLE` highest probabilities and those of the label,
    descending, each a tuple: name, probability, whether the label has it.
    """
    predictions = {model.name: model.tables["predictions"]["answer"] for model in models}
    table, mode = models[0].tables["predictions"], mode_of(topics.mode)
    probabilities = mode.complete(table[topics.score_columns].to_numpy(dtype=np.float64))
    outcomes = mode.outcomes(targets_of(table["label"].map(split_cell), topics.names))
    classes = [*topics.names, NO_TOPIC_SHORT]
    label_probabilities = np.where(outcomes, probabilities, 1 - probabilities).min(axis=1)
    wrong = np.flatnonzero(~table["right"].to_numpy(dtype=bool))
    wrong = wrong[np.argsort(label_probabilities[wrong], kind="stable")]
    cut = partial(shortened, width=CONTEXT_CHARACTERS)  # between words
    texts = passages_for(paragraphs, table["id"].iloc[wrong])
    mistakes = []
    for row, text in zip(wrong.tolist(), texts, strict=True):
        values = zip(classes, probabilities[row].tolist(), outcomes[row].tolist(), strict=False)
        bars = sorted(values, key=lambda bar: -bar[1])
        mistake = {
            "id": table["id"][row],
            "heading": table["heading"][row],
            "text": shortened(table["text"][row], EXCERPT),
            "whole": table["text"][row],
            "before": cut("".join(text.before[-1:])[::-1])[::-1],
            "after": cut("".join(text.after[:1])),
            "label": table["label"][row] or NO_TOPIC_SHORT,
            "answers": {name: cells[row] or NO_TOPIC_SHORT for name, cells in predictions.items()},
            "bars": [bar for rank, bar in enumerate(bars) if rank < N_PROBABLE or bar[2]],
        }
        mistakes.append(mistake)
    return mistakes


def risks_by_coverage(models: Sequence[ModelReport]) -> dict[float, dict[str, float | None]]:
    """Share of predictions (0.25, 0.5, 0.75, 1) → model → its risk if the most certain are kept.

    The risk is the share of the kept predictions that are wrong; None if none is kept.
    """
    risks: dict[float, dict[str, float | None]] = {}
    for coverage in (0.25, 0.5, 0.75, 1.0):
        risks[coverage] = {}
        for model in models:
            curve = model.tables["risk"]
            # The tolerance includes the last prediction in spite of rounding.
            rows = curve[curve["answered"] <= coverage + 1e-9]
            risks[coverage][model.name] = float(rows["risk"].iloc[-1]) if len(rows) else None
    return risks
