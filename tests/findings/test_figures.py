"""Charts: their contents, as files and inside the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from scipy.stats import binomtest

from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.model_report import Metrics, ModelReport
from paratopic.findings import figures
from paratopic.findings.page import as_svg
from tests.reports import compared, final, metrics, sure

BINS = pd.DataFrame({"confidence": [0.3, 0.9], "accuracy": [0.5, 1.0], "n": [10, 30]})
METRICS = metrics(abstention=sure())
CURVE = pd.DataFrame({"answered": [0.25, 0.5, 0.75, 1.0], "risk": [0.0, 0.5, 1 / 3, 0.25]})


def report(measured: Metrics = METRICS, **tables: pd.DataFrame) -> ModelReport:
    usual = {"reliability": BINS, "risk": CURVE}
    return ModelReport("baseline", final(), measured, usual | tables)


def history(x: str, values: list[float], folds: int = 1) -> pd.DataFrame:
    """Losses of folds, which decrease with `x`."""
    losses = [1 - 0.5 * place / len(values) for place in range(len(values))]
    parts = [
        pd.DataFrame({"repeat": 0, "fold": n, x: values, "log_loss": losses}) for n in range(folds)
    ]
    return pd.concat(parts)


def training(past: pd.DataFrame, final: pd.DataFrame | None = None) -> Figure:
    final = past.iloc[:0, 2:] if final is None else final
    chart = figures.training_chart(report(training=past, final=final))
    assert chart is not None
    return chart


def axes_of(chart: Figure) -> Any:
    """The only axes of a chart, as Any, because matplotlib's types lack the plotted objects."""
    (axes,) = chart.axes
    return axes


def legend(chart: Figure) -> list[str]:
    return [text.get_text() for text in chart.legends[0].get_texts()]


def test_reliability_has_a_diagonal_wilsons_intervals_and_numbers_of_answers() -> None:
    chart = figures.reliability_chart(report(reliability=BINS.assign(n=[10, 39])))
    axes = axes_of(chart)
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert [text.get_text() for text in axes.texts] == ["n", "10", "39"]
    heights = [text.get_position()[1] for text in axes.texts[1:]]
    assert heights[0] != heights[1]
    for bars, right, n in zip(axes.collections, (5, 39), (10, 39), strict=True):
        (bar,) = bars.get_segments()
        known = binomtest(right, n).proportion_ci(0.95, method="wilson")
        assert bar[:, 1] == pytest.approx([known.low, known.high]) and bar.max() <= 1
    assert legend(chart) == ["confidence equals accuracy", "accuracy of n, 95% interval"]


def test_risk_ends_at_the_share_of_mistakes() -> None:
    several = metrics("multi")
    for measured, guides in ((METRICS, ["allowed if sure"]), (several, [])):
        chart = figures.risk_chart([report(measured)])
        assert legend(chart) == [*guides, "baseline"]
        assert axes_of(chart).lines[-1].get_xydata().tolist()[-1] == [1, 0.25]


@pytest.mark.filterwarnings("error")
def test_the_candidates_for_c_are_evenly_spaced_and_losses_start_at_0() -> None:
    past = history("C", [100.0, 1.0, 10.0], folds=2)
    chart = training(past, past[["C", "log_loss"]])
    assert legend(chart) == ["a fold", "mean of the folds", "the final model"]
    axes = axes_of(chart)
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "10", "100"]
    assert axes.get_ylim() == (0, 1)
    assert legend(training(past)) == ["a fold", "mean of the folds"]
    assert legend(training(past.iloc[:0], past[["C", "log_loss"]])) == ["the final model"]
    low, high = axes_of(training(history("C", [10.0]))).get_xlim()  # of one candidate
    assert low < 10 < high
    # There is no chart without measured losses.
    past = past.assign(log_loss=float("nan"))
    empty = pd.DataFrame(columns=["repeat", "fold"]), pd.DataFrame(columns=["step"])
    for histories, last in ((past, past[["C", "log_loss"]]), empty):
        assert figures.training_chart(report(training=histories, final=last)) is None


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    chart = training(history("step", [*range(5000)]))
    fold = axes_of(chart).lines[1].get_xydata()
    assert len(fold) == figures.N_POINTS
    assert (fold[0][0], fold[-1][0]) == (0, 4999)


def test_each_estimate_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    charts: list[Figure] = []
    monkeypatch.setattr(figures, "_save", lambda path, chart, title: charts.append(chart))
    estimates = {"dummy": Estimate(0.1), "baseline": Estimate(0.5, 0.3, 0.8)}
    models = {name: {"answer_macro_f1": estimate} for name, estimate in estimates.items()}
    figures.plot_comparison(tmp_path / "none.svg", compared(models=models), 0.9)
    axes = axes_of(charts[0])
    assert [text.get_text() for text in axes.texts] == ["0.10", "0.50"]
    assert [bars.get_segments()[0].tolist() for bars in axes.collections] == [[[0.3, 1], [0.8, 1]]]
    assert axes.get_xlabel() == "90% interval"


def test_a_chart_without_models_has_the_reason(tmp_path: Path) -> None:
    figures.plot_comparison(tmp_path / "none.svg", compared(), 0.95)
    picture = (tmp_path / "none.svg").read_text()
    assert "nothing was measured" in picture


def test_pictures_do_not_depend_on_the_settings_of_the_user(tmp_path: Path) -> None:
    def written() -> tuple[str, bytes]:
        chart = figures.reliability_chart(report())
        svg, path = as_svg(chart, "title"), tmp_path / "chart.png"
        figures.STYLED(figures._save)(path, chart, "title")
        return svg, path.read_bytes()

    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "path"}):
        other = written()
        assert matplotlib.rcParams["font.size"] == 30
    assert other == written()


def test_charts_inside_a_page_share_nothing_but_its_colours_and_font() -> None:
    chart = figures.reliability_chart(report())
    first, second = as_svg(chart, "first"), as_svg(chart, "<second>")
    ids = [re.findall(r' id="([^"]*)"', svg) for svg in (first, second)]
    assert ids[0] and not {*ids[0]} & {*ids[1]}
    for svg, own in zip((first, second), ids, strict=True):
        assert {*re.findall(r'href="#([^"]*)"', svg)} == {*own}
        assert "url(" not in svg and "<style" not in svg and "<!" not in svg
        # All colours and the font are those of the page.
        assert not re.search(r"#[0-9a-f]{6}\b|rgb|DejaVu", svg)
        assert {*re.findall(r"var\(--(\w+)\)", svg)} == {"ink", "dim", "line", "card", "baseline"}
        assert ">accuracy</text>" in svg
        assert "<title>confidence 30%, accuracy 50% (24% to 76%), n = 10</title>" in svg
    assert 'role="img" aria-label="&lt;second&gt;"' in second


def test_letters_that_the_font_lacks_come_from_another_or_a_note_names_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bundled_fonts = [font for font in fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(fontManager, "ttflist", bundled_fonts)
    assert figures._fonts("trade à Łódź, تجارة", Path("x.png")) == [figures.FONT]
    assert figures._fonts("trade \u210a", Path("x.png")) == [figures.FONT, "STIXGeneral"]
    assert not caplog.records
    figures._fonts("贸易 \u210a", Path("x.png"))
    assert "x.png: no installed font has these letters: 易 贸. Install one" in caplog.text


def test_an_axis_of_many_centuries_has_whole_steps() -> None:
    _, names = figures._ticks(["1200-01", "1200-02", "2025-01"])
    assert names == ["1370-01", "1570-01", "1770-01", "1970-01"]
