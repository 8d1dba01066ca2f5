"""The report as one page for people who were not there: everything in it, and no network needed.

Nothing is measured here: the numbers come from `report`, `comparison`, `groups` and `slices`. The
text is in page.html, and the charts of `figures` are SVG inside it. Which answers are mistakes is
decided in `outcomes`, which labels are doubtful in `review`.
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
from paratopic.corpus.table import targets_of, texts_of
from paratopic.evaluation import model_report
from paratopic.evaluation.comparison import Comparison, describe_weak
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
from paratopic.project.topics import NONE, Topics, split_cell

TEMPLATE = Path(__file__).with_name("page.html")
# Number of characters that are shown of a paragraph, and of those beside it.
EXCERPT, CONTEXT_CHARACTERS = 900, 200
# Number of topics that are shown of those that are probable in a paragraph.
N_PROBABLE = 6
# What writes the files that are read.
REPRO = "`dvc repro`"
# Columns whose cells are texts, also where they look like numbers, or are words like "null".
TEXTS = dict.fromkeys(("id", "article", "heading", "text", "answer", "label"), str)
# Name of a table with such columns, or without them → how it is read.
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
    """Make the page of what stages wrote in a project.

    Parameters
    ----------
    names
        Names of the trained models, in any order.
    unit
        What the page calls a text.
    on_request
        Sections that need the champion to be loaded; None, the default, for a page without them.
        These are `shares` (a `wording.Overview`), `labels` (what the labels are a sample of) and
        `mistakes`, where the champion goes wrong (`results.project.Mistakes`), with `labelled`,
        which finds the labelled paragraph most like a text. In place of shares or mistakes there
        may be a line that says what is missing for them.

    Returns
    -------
    HTML that asks no network for anything. Texts of users are escaped.

    Raises
    ------
    UserError
        A file is missing or damaged.
    """
    prepared, comparison = Prepared.load(paths.prepared), Comparison.load(paths.comparison)
    frame = read_labelled_paragraphs(paths)
    reviewed = rank_doubtful(*read_scores(paths, labelled_in(frame, topics), names), topics)
    models = [read_report(paths.model_reports / name) for name in names]
    models.sort(key=lambda each: each.name != comparison.champion)
    of_training = [f"{model.name}: {note}" for model in models for note in model.shipped.notes]
    templates = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    in_words = partial(in_units, unit=unit)
    templates.filters |= {"percent": lambda share: f"{share_tables.percent(share)}%", "svg": as_svg}
    templates.filters["in_words"] = in_words  # what is said of paragraphs elsewhere
    return templates.from_string(in_words(TEMPLATE.read_text(encoding="utf-8"))).render(
        plural=plural,
        topics=topics,
        prepared=prepared,
        split=Split.load(paths.split),
        comparison=comparison,
        people=[*map(in_words, describe_agreement(comparison.annotators))],
        sources=[*map(in_words, describe_weak(prepared, comparison))],
        notes=[*map(in_words, [*comparison.notes, *prepared.messages, *of_training])],
        models=models,
        metrics=comparison.metrics,
        lead=comparison.differences.get(f"{comparison.champion} - dummy"),
        kinds=KINDS,
        # The page calls these where there is something to show.
        figures=figures,
        tables=share_tables,
        wording=wording,
        report=model_report,
        signed=signed,
        risks=risks,
        worst=lambda: worst(models, topics, frame),
        on_request=on_request,
        doubtful=reviewed[reviewed["reason"] != ""].to_dict("records"),
        n_unsure=int(reviewed["unsure"].sum()),
    )


def read_report(folder: Path) -> ModelReport:
    """Read what stages evaluate and train wrote of a model, in its folder of reports.

    Raises
    ------
    UserError
        A file is missing or damaged.
    """
    return ModelReport(
        folder.name,
        Final.load(folder / FINAL),
        Metrics.load(folder / "metrics.json"),
        {
            table: files.read_csv(folder / f"{table}.csv", REPRO, **options)
            for table, options in TABLES.items()
        },
    )


@figures.STYLED
def as_svg(chart: Figure, title: str) -> str:
    """A chart as an SVG element of the page.

    It has the page's font and colours. A `gid` with a blank becomes a tooltip.

    Parameters
    ----------
    title
        What it shows, for those who cannot see it; another one for each chart of the page.
    """
    file = io.StringIO()
    matplotlib.rcParams["svg.hashsalt"] = title  # no other chart of the page has the same ids
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


def worst(
    models: Sequence[ModelReport], topics: Topics, paragraphs: pd.DataFrame
) -> list[dict[str, Any]]:
    """Paragraphs whose answer by the first model is not the label, the least probable label first.

    Returns
    -------
    For each paragraph id, heading, text (cut) and whole (uncut); before and after, the end of the
    paragraph before it in its article and the beginning of the next one, "" where there is none;
    label; answers (model → topics, or NONE, the first model first); and bars, what the first model
    sees in the paragraph: name, probability, and whether it is of the label, of the highest
    probabilities and those of the label, in descending order.
    """
    answers = {model.name: model.tables["predictions"]["answer"] for model in models}
    table, mode = models[0].tables["predictions"], mode_of(topics.mode)
    probabilities = mode.complete(table[topics.scores].to_numpy(dtype=np.float64))
    outcomes = mode.outcomes(targets_of(table["label"].map(split_cell), topics.names))
    classes = (*topics.names, NONE)[: outcomes.shape[1]]
    of_label = np.where(outcomes, probabilities, 1 - probabilities).min(axis=1)
    wrong = np.flatnonzero(~table["right"].to_numpy(dtype=bool))
    wrong = wrong[np.argsort(of_label[wrong], kind="stable")]
    cut = partial(shortened, width=CONTEXT_CHARACTERS)  # between words
    texts = texts_of(paragraphs, table["id"].iloc[wrong])
    mistakes = []
    for row, text in zip(wrong.tolist(), texts, strict=True):
        of_row = zip(classes, probabilities[row].tolist(), outcomes[row].tolist(), strict=True)
        bars = sorted(of_row, key=lambda bar: -bar[1])
        mistake = {
            "id": table["id"][row],
            "heading": table["heading"][row],
            "text": shortened(table["text"][row], EXCERPT),
            "whole": table["text"][row],
            "before": cut("".join(text.before[-1:])[::-1])[::-1],
            "after": cut("".join(text.after[:1])),
            "label": table["label"][row] or NONE,
            "answers": {name: of_model[row] or NONE for name, of_model in answers.items()},
            "bars": [bar for rank, bar in enumerate(bars) if rank < N_PROBABLE or bar[2]],
        }
        mistakes.append(mistake)
    return mistakes


def risks(models: Sequence[ModelReport]) -> dict[float, dict[str, float | None]]:
    """Coverage → model → risk of so many of its most confident answers; None for less than one."""

    def risk(curve: pd.DataFrame, share: float) -> float | None:
        # Rounding must not leave the last answer out.
        answered = curve[curve["answered"] <= share + 1e-9]
        return float(answered["risk"].iloc[-1]) if len(answered) else None

    shares = (0.25, 0.5, 0.75, 1.0)
    return {n: {model.name: risk(model.tables["risk"], n) for model in models} for n in shares}
