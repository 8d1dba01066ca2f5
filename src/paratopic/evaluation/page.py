"""The report as one page for people who were not there: everything in it, and no network needed.

Nothing is measured here: the numbers come from `report`, `comparison`, `findings` and `slices`. The
text is in page.html, and the charts of `figures` are SVG inside it. Which answers are mistakes is
decided in `outcomes`, which labels are doubtful in `review`.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paratopic.corpus.table import passages, targets_of
from paratopic.evaluation.figures import (
    COLOURS,
    FONT,
    STYLED,
    reliability_chart,
    risk_coverage_chart,
    share_chart,
    training_chart,
)
from paratopic.evaluation.findings import BORROWED, COUNT, METHOD, Overview, counting, notes
from paratopic.evaluation.report import gained, reads
from paratopic.inference.modes import mode_of
from paratopic.inference.promise import why_none_is_sure
from paratopic.labels.summary import describe_beside, describe_sources, sources_that_label
from paratopic.project.errors import plural
from paratopic.project.kinds import KINDS
from paratopic.project.metrics import HEADLINE, metrics_in
from paratopic.project.topics import NONE, Topics, split_cell

TEMPLATE = Path(__file__).with_name("page.html")
# Number of paragraphs that are shown of those that are answered wrong, and of doubtful labels.
N_SHOWN = 12
# Number of those that are answered wrong that are shown at once; a click shows the others.
N_OPEN = 4
# Number of characters that are shown of a paragraph, and of those beside it.
EXCERPT, BESIDE = 900, 200
# Number of topics that are shown of those that are probable in a paragraph.
N_PROBABLE = 6


@dataclass(frozen=True)
class ModelReport:
    """What is reported of one trained model.

    Parameters
    ----------
    shipped
        Content of final.json: about the model that ships.
    metrics
        Content of metrics.json.
    predictions, confusion, reliability, risk_coverage, training
        The CSV files of these names.
    final
        final.csv: the history of the model that ships.
    """

    name: str
    shipped: Mapping[str, Any]
    metrics: Mapping[str, Any]
    predictions: pd.DataFrame
    confusion: pd.DataFrame
    reliability: pd.DataFrame
    risk_coverage: pd.DataFrame
    training: pd.DataFrame
    final: pd.DataFrame


@dataclass(frozen=True)
class Weaknesses:
    """Where the champion goes wrong.

    Parameters
    ----------
    confusions
        What is mistaken for what, in words, the most frequent first.
    slices
        A line that says whether any slice is worse, and a line for each that is.
    nearest
        Finds the labelled paragraph that is most like a text, and is not the text
        (`inference.neighbours.Neighbour`); None where there is none.
    """

    confusions: Sequence[str]
    slices: Sequence[str]
    nearest: Callable[[str], Any]


@dataclass(frozen=True)
class OnRequest:
    """The sections that are made when somebody asks for the page: they need the champion loaded.

    Instead of a section, there may be a line that says what is missing for it. `labels` says what
    the labels are a sample of.
    """

    shares: Overview | str
    labels: str
    weaknesses: Weaknesses | str


@dataclass(frozen=True)
class Bar:
    """A probability that is shown as a bar, and whether it is that of a part of the label."""

    name: str
    probability: float
    labelled: bool


@dataclass(frozen=True)
class Mistake:
    """A paragraph whose answer by the champion is not its label.

    Parameters
    ----------
    answers
        Model → topics that it answers, or NONE; the champion comes first.
    bars
        What the champion sees in the paragraph: its highest probabilities and those of the label.
    whole
        The paragraph, uncut.
    before, after
        The end of the paragraph before it in its article, and the beginning of the next one; ""
        where there is none.
    """

    id: str
    article: str
    heading: str
    text: str
    label: str
    answers: Mapping[str, str]
    bars: Sequence[Bar]
    whole: str
    before: str
    after: str


def render_page(
    topics: Topics,
    prepared: Mapping[str, Any],
    split: Mapping[str, Any],
    comparison: Mapping[str, Any],
    models: Sequence[ModelReport],
    paragraphs: pd.DataFrame,
    reviewed: pd.DataFrame,
    on_request: OnRequest | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    models
        Reports of the trained models, in any order.
    reviewed
        From `review.rank_doubtful`; no rows where no label is by hand.
    on_request
        Sections that need the champion to be loaded; None, the default, for a page without them.

    Returns
    -------
    HTML that asks no network for anything. Texts of users are escaped.
    """
    models = sorted(models, key=lambda model: model.name != comparison["champion"])
    metrics, sources = metrics_in(topics.mode), comparison.get("sources", {})
    lead = comparison["differences"].get(f"{comparison['champion']} - dummy", {})
    known = {key for figures in comparison["models"].values() for key in figures}
    of_training = [f"{model.name}: {note}" for model in models for note in model.shipped["notes"]]
    # What is of measured models is not asked for where there are none.
    measured = _measured(models, topics, paragraphs) if comparison["n"] else {}
    return _template().render(
        measured,
        plural=plural,
        topics=topics,
        prepared=prepared,
        split=split,
        comparison=comparison,
        sources=describe_sources(sources_that_label(prepared)),
        beside=describe_beside(sources, comparison["champion"], prepared.get("effort", {})),
        notes=[*comparison["notes"], *prepared["messages"], *of_training],
        models=models,
        champion=models[0],
        metrics=[metric for key, metric in metrics.items() if key in known],
        compared=metrics[HEADLINE[topics.mode]],
        colours=COLOURS,
        reads=reads,
        gained=gained,
        why_none_is_sure=why_none_is_sure,
        better_than_dummy=bool(lead) and lead["significant"] and lead["value"] > 0,
        kinds=KINDS,
        trainings={m.name: training_chart(m.name, m.training, m.final) for m in models},
        on_request=on_request,
        charts=_share_charts(on_request),
        borrowed=BORROWED,
        counted=COUNT,
        share_notes=notes,
        counting=counting("paragraphs", copies=True),
        share_method=METHOD,
        n_shown=N_SHOWN,
        n_open=N_OPEN,
        doubtful=reviewed[reviewed["reason"] != ""].to_dict("records"),
        n_unsure=int(reviewed["unsure"].sum()),
    )


def _template() -> jinja2.Template:
    """page.html with its filters."""
    templates = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    templates.filters["percent"] = lambda share: f"{share:.0%}"
    templates.filters["svg"] = as_svg
    templates.filters["shares"] = _by_part
    return templates.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _measured(
    models: Sequence[ModelReport], topics: Topics, paragraphs: pd.DataFrame
) -> dict[str, Any]:
    """Charts and tables of measured models, the champion first."""
    curves = {m.name: (m.risk_coverage, m.metrics) for m in models[::-1]}
    return {
        "confusions": {m.name: confusion(m) for m in models},
        "reliabilities": {
            m.name: reliability_chart(m.name, m.reliability, m.metrics["confidence"])
            for m in models
        },
        "risk": risk_coverage_chart(curves),
        "risks": _risks(models),
        "wrong": worst(models, topics, paragraphs),
    }


@STYLED
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
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    chart.savefig(file, format="svg", transparent=True, metadata=metadata)
    head, group, inside = file.getvalue().partition("<g ")
    box = re.findall('viewBox="[^"]*"', head)[0]
    inside = re.sub(r"<clipPath.*?</clipPath>", "", group + inside, flags=re.S)
    inside = re.sub(r' (clip-path="|transform="rotate\(-0 )[^"]*"', "", inside)
    inside = re.sub(r'<g id="[^" ]*">', "<g>", inside)
    inside = re.sub(r'<g id="([^"]*)">', r"<g><title>\1</title>", inside)
    inside = re.sub(r"\s+", " ", inside).replace("> <", "><").replace(f"'{FONT}'", "system-ui")
    inside = re.sub(r"\d+\.\d\d+(?=[^<>]*>)", lambda number: f"{float(number[0]):.1f}", inside)
    for name, colour in COLOURS.items():
        inside = inside.replace(colour, f"var(--{name})")
    return f'<svg {box} role="img" aria-label="{html.escape(title)}">{inside}'


def confusion(model: ModelReport) -> dict[str, dict[str, int]]:
    """Number of paragraphs: topic of the label → topic of the answer → count."""
    return {
        str(label): dict(zip(rows["answer"], rows["count"].tolist(), strict=True))
        for label, rows in model.confusion.groupby("label", sort=False)
    }


def worst(models: Sequence[ModelReport], topics: Topics, paragraphs: pd.DataFrame) -> list[Mistake]:
    """Mistakes of the first model, the least probable label first, as in the paragraph table."""
    table, mode = models[0].predictions, mode_of(topics.mode)
    scores = table[topics.scores].to_numpy(dtype=np.float64)
    probabilities = mode.complete(scores)
    outcomes = mode.outcomes(targets_of(table["label"].map(split_cell), topics.names))
    classes = (*topics.names, NONE)[: outcomes.shape[1]]
    of_label = np.where(outcomes, probabilities, 1 - probabilities).min(axis=1)
    wrong = np.flatnonzero(~table["right"].to_numpy(dtype=bool))
    wrong = wrong[np.argsort(of_label[wrong], kind="stable")]
    cut: Any = {"width": BESIDE, "placeholder": " …"}  # between words
    places = pd.Index(paragraphs["id"]).get_indexer(table["id"].iloc[wrong])
    return [
        Mistake(
            **{name: table[name][row] for name in ("id", "article", "heading")},
            text=textwrap.shorten(table["text"][row], EXCERPT, placeholder=" …"),
            label=table["label"][row] or NONE,
            answers={model.name: model.predictions["answer"][row] or NONE for model in models},
            bars=_bars(classes, probabilities[row].tolist(), outcomes[row].tolist()),
            whole=table["text"][row],
            before=textwrap.shorten("".join(passage.before[-1:])[::-1], **cut)[::-1],
            after=textwrap.shorten("".join(passage.after[:1]), **cut),
        )
        for row, passage in zip(wrong.tolist(), passages(paragraphs, places), strict=True)
    ]


def _bars(
    names: Sequence[str], probabilities: Sequence[float], labelled: Sequence[bool]
) -> list[Bar]:
    """The highest probabilities and those of the label, in descending order."""
    rows = zip(names, probabilities, labelled, strict=True)
    bars = sorted((Bar(*values) for values in rows), key=lambda bar: -bar.probability)
    return [bar for rank, bar in enumerate(bars) if rank < N_PROBABLE or bar.labelled]


def _share_charts(on_request: OnRequest | None) -> dict[str, Figure]:
    """Topic → its shares by period; empty where there are none."""
    shares = on_request.shares if on_request else ""
    by_period = None if isinstance(shares, str) else shares.by_period
    if by_period is None:
        return {}
    return {topic: share_chart(by_period, topic) for topic in by_period.table["topic"].unique()}


def _by_part(table: pd.DataFrame, column: str) -> dict[str, list[dict[Hashable, Any]]]:
    """Value of a column, in the order of the table → its lines, one for each topic."""
    parts = table.groupby(column, sort=False)
    return {str(value): lines.to_dict("records") for value, lines in parts}


def _risks(models: Sequence[ModelReport]) -> dict[float, dict[str, float | None]]:
    """Coverage → model → risk of so many of its most confident answers; None for less than one."""
    risks: dict[float, dict[str, float | None]] = {}
    for share in (0.25, 0.5, 0.75, 1.0):
        risks[share] = {}
        for model in models:
            curve = model.risk_coverage
            # Rounding must not leave the last answer out.
            up_to = curve["risk"][curve["coverage"] <= share + 1e-9]
            risks[share][model.name] = float(up_to.iloc[-1]) if len(up_to) else None
    return risks
