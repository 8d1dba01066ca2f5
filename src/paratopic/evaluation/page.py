"""The report as one page for people who were not there: everything in it, and no network needed.

Nothing is measured here: the numbers come from `report`, `comparison`, `findings`, `mistakes` and
`slices`. The text is in page.html, and the charts of `figures` are SVG inside it. Which answers are
mistakes is decided in `mistakes`, which labels are doubtful in `review`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paratopic.corpus.table import passages, targets_of
from paratopic.evaluation.figures import (
    COLOURS,
    as_svg,
    reliability_chart,
    risk_at,
    risk_coverage_chart,
    share_chart,
    training_chart,
)
from paratopic.evaluation.findings import (
    BORROWED,
    METHOD,
    Overview,
    counting,
    notes,
)
from paratopic.evaluation.slices import Slice, verdict
from paratopic.evaluation.surroundings import gained, reads
from paratopic.inference.modes import mode_of
from paratopic.inference.promise import why_none_is_sure
from paratopic.inference.scores import Array, Targets
from paratopic.labels.summary import describe_beside, describe_sources, sources_that_label
from paratopic.project.kinds import KINDS
from paratopic.project.metrics import HEADLINE, metrics_in
from paratopic.project.plurals import plural
from paratopic.project.topics import NONE, Topics, join_cell, split_cell

if TYPE_CHECKING:
    from paratopic.inference.neighbours import Neighbour

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
        Slices that were tried, the worst first.
    nearest
        Finds the labelled paragraph that is most like a text, and is not the text; None where there
        is none.
    """

    confusions: Sequence[str]
    slices: Sequence[Slice]
    nearest: Callable[[str], Neighbour | None]


@dataclass(frozen=True)
class OnRequest:
    """The sections that are made when somebody asks for the page: they need the champion loaded.

    Parameters
    ----------
    shares
        How much is about what; or a line that says what is missing for that.
    sample
        What the labels are a sample of, in a line.
    weaknesses
        Where the champion goes wrong; or a line that says what is missing for that.
    """

    shares: Overview | str
    sample: str
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


@dataclass(frozen=True)
class Doubtful:
    """A hand label that a person should look at again.

    Parameters
    ----------
    label
        All topics of the label, or NONE.
    suggestion
        The topic that the models find most probable; "" if none has scored the paragraph.
    """

    id: str
    text: str
    label: str
    suggestion: str
    confidence: float
    reason: str


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
    champion = models[0]
    measured = bool(comparison["n"])
    templates = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    templates.filters["percent"] = lambda share: f"{share:.0%}"
    templates.filters["svg"] = as_svg
    templates.filters["shares"] = _by_part
    wrong = worst(models, topics, paragraphs) if measured else []
    return templates.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        plural=plural,
        topics=topics,
        prepared=prepared,
        split=split,
        comparison=comparison,
        sources=describe_sources(sources_that_label(prepared)),
        beside=describe_beside(
            comparison.get("sources", {}), comparison["champion"], prepared.get("effort", {})
        ),
        notes=[*comparison["notes"], *prepared["messages"], *_notes(models)],
        models=models,
        champion=champion,
        metrics=[m for key, m in metrics_in(topics.mode).items() if _is_measured(key, comparison)],
        compared=metrics_in(topics.mode)[HEADLINE[topics.mode]],
        confusions={m.name: confusion(m) for m in models} if measured else {},
        colours=COLOURS,
        reads=reads,
        gained=gained,
        why_none_is_sure=why_none_is_sure,
        reliabilities={
            m.name: reliability_chart(m.name, m.reliability, m.metrics["confidence"])
            for m in models
            if measured
        },
        risk=risk_coverage_chart({m.name: (m.risk_coverage, m.metrics) for m in models[::-1]})
        if measured
        else None,
        risks=_risks(models) if measured else {},
        better_than_dummy=_better_than_dummy(comparison),
        kinds=KINDS,
        trainings={m.name: training_chart(m.name, m.training, m.final) for m in models},
        on_request=on_request,
        charts=_share_charts(on_request),
        borrowed=BORROWED,
        share_notes=notes,
        counting=counting("paragraphs", copies=True),
        share_method=METHOD,
        verdict=verdict,
        wrong=wrong,
        n_shown=N_SHOWN,
        n_open=N_OPEN,
        doubtful=second_look(reviewed),
        n_unsure=int(reviewed["unsure"].sum()),
    )


def _notes(models: Sequence[ModelReport]) -> list[str]:
    """What the training of the models has to say."""
    return [f"{model.name}: {note}" for model in models for note in model.shipped["notes"]]


def confusion(model: ModelReport) -> dict[str, dict[str, int]]:
    """Number of paragraphs: topic of the label → topic of the answer → count."""
    counts: dict[str, dict[str, int]] = {}
    for label, answer, count in model.confusion.itertuples(index=False, name=None):
        counts.setdefault(label, {})[answer] = count
    return counts


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
    places = pd.Index(paragraphs["id"]).get_indexer(table["id"].iloc[wrong])
    return [
        Mistake(
            **{name: table[name][row] for name in ("id", "article", "heading")},
            text=textwrap.shorten(table["text"][row], EXCERPT, placeholder=" …"),
            label=_named(table["label"][row]),
            answers={model.name: _named(model.predictions["answer"][row]) for model in models},
            bars=_bars(classes, probabilities[row], outcomes[row]),
            whole=table["text"][row],
            before=_last_words("".join(passage.before[-1:])),
            after=textwrap.shorten("".join(passage.after[:1]), BESIDE, placeholder=" …"),
        )
        for row, passage in zip(wrong.tolist(), passages(paragraphs, places), strict=True)
    ]


def _last_words(text: str) -> str:
    """The end of a text, from a whole word on."""
    return textwrap.shorten(text[::-1], BESIDE, placeholder=" …")[::-1]


def second_look(reviewed: pd.DataFrame) -> list[Doubtful]:
    """Doubtful labels, the most doubtful first: those that `paratopic review` lists."""
    rows = reviewed[reviewed["reason"] != ""].to_dict("records")
    return [
        Doubtful(
            **{name: row[name] for name in ("text", "suggestion", "confidence", "reason")},
            id=row["paragraph"],
            label=_named(join_cell(row["topics"])),
        )
        for row in rows
    ]


def _bars(names: Sequence[str], probabilities: Array, labelled: Targets) -> list[Bar]:
    """The highest probabilities and those of the label, in descending order."""
    rows = zip(names, probabilities.tolist(), labelled.tolist(), strict=True)
    bars = sorted((Bar(*values) for values in rows), key=lambda bar: -bar.probability)
    return [bar for rank, bar in enumerate(bars) if rank < N_PROBABLE or bar.labelled]


def _named(cell: str) -> str:
    """A cell of labels, or NONE for an empty one."""
    return cell or NONE


def _share_charts(on_request: OnRequest | None) -> dict[str, Figure]:
    """Topic → its shares by period; empty where there are none."""
    if on_request is None or isinstance(on_request.shares, str):
        return {}
    by_period = on_request.shares.by_period
    if by_period is None:
        return {}
    return {topic: share_chart(by_period, topic) for topic in by_period.table["topic"].unique()}


def _by_part(table: pd.DataFrame, column: str) -> dict[str, list[dict[Hashable, Any]]]:
    """Value of a column, in the order of the table → its lines, one for each topic."""
    parts = table.groupby(column, sort=False)
    return {str(value): lines.to_dict("records") for value, lines in parts}


def _is_measured(metric: str, comparison: Mapping[str, Any]) -> bool:
    """Whether any model has the metric."""
    return any(metric in figures for figures in comparison["models"].values())


def _better_than_dummy(comparison: Mapping[str, Any]) -> bool:
    """Whether the champion is significantly better than the dummy; false where that is unknown."""
    lead = comparison["differences"].get(f"{comparison['champion']} - dummy")
    return lead is not None and lead["significant"] and lead["value"] > 0


def _risks(models: Sequence[ModelReport]) -> dict[float, dict[str, float | None]]:
    """Coverage → model → risk of so many of its most confident answers."""
    return {
        share: {m.name: risk_at(m.risk_coverage, share) for m in models}
        for share in (0.25, 0.5, 0.75, 1.0)
    }
