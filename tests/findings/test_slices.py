"""Slices: their columns, their text, and the rate of false alarms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus.table import UNKNOWN
from paratopic.evaluation.outcomes import EvaluatedPredictions, Outcomes
from paratopic.findings.slices import ALPHA, LEAST, find_slices, slice_columns
from paratopic.inference.modes import Array, Integers, Targets, mode_of
from paratopic.project.errors import UserError

N = 60


def evaluated(
    right: Targets | list[bool], groups: Integers | None = None, weights: Array | None = None
) -> EvaluatedPredictions:
    """Predictions that are right or wrong; by default, each is a group of its own."""
    n = len(right)
    groups = np.arange(n) if groups is None else groups
    true = np.ones((n, 1), dtype=bool)
    outcomes = Outcomes(
        mode_of("single"), true, groups, np.ones((1, n, 1)), true[None], weights=weights
    )
    return EvaluatedPredictions(pd.DataFrame({"right": np.asarray(right, dtype=bool)}), outcomes)


def frame() -> pd.DataFrame:
    """60 paragraphs of ten articles; the first one has a heading, the last one no order."""
    made = [
        (f"p{n}", f"a{n // 6}", n % 6, n < 54, "Trade" if n < 6 else "", "word " * (n + 1))
        for n in range(N)
    ]
    columns = ["id", "article", "position", "ordered", "heading", "text"]
    return pd.DataFrame(made, columns=columns)


def test_columns_are_fields_periods_and_metadata() -> None:
    table = frame()
    table = table.assign(source=pd.Series(["Post", None] * 30))
    table["date"] = ["2025-04-02"] * 30 + ["2024"] * 30
    table["page"] = [str(n) for n in range(N)]
    columns = slice_columns(table, list(table["id"])[::-1], {"p0": "ann", "p1": "ann and bob"})
    first = {name: values[-1] for name, values in columns.items()}
    assert first == {
        "length": "shortest third",
        "position": "first third",
        "heading": "under a heading",
        "annotator": "ann",
        "source": "Post",
        "decade": "2020s",
        "year": "2025",
        "month": "2025-04",
    }
    last = {name: values[0] for name, values in columns.items()}
    assert last["length"] == "longest third" and last["heading"] == "under none"
    assert last["position"] == last["annotator"] == ""
    assert last["source"] == last["month"] == UNKNOWN and last["year"] == "2024"
    assert [columns["position"].count(third) for third in ("first third", "last third")] == [18, 18]
    assert [*slice_columns(table, ["p0"], {}, ["source", "length"])] == ["length", "source"]
    year_columns = slice_columns(table.assign(date="2024"), list(table["id"]), {})
    assert set(year_columns["year"]) == {"2024"} and "month" not in year_columns


def test_unknown_columns_and_those_with_many_values_are_refused() -> None:
    table = frame()
    table = table.assign(page=[str(n) for n in range(N)])
    with pytest.raises(UserError, match="the columns are length, position"):
        slice_columns(table, list(table["id"]), {}, ["pge"])
    with pytest.raises(UserError, match="--by page: .* 60 values"):
        slice_columns(table, list(table["id"]), {}, ["page"])


def test_a_slice_by_hand() -> None:
    right = [True] * 20 + [False] * 20 + [True] * 40
    bad, good = find_slices({"half": ["a"] * 40 + ["b"] * 40}, evaluated(right), 0.95, 1)
    assert (bad.value, bad.n, bad.accuracy, bad.elsewhere) == ("a", 40, 0.5, 1.0)
    assert bad.low < 0.4 and 0.6 < bad.high < 0.7
    assert bad.is_worse and bad.p == pytest.approx(1 / 2001)
    assert str(bad) == (
        f"half = a: 50% of 40 answers right ({100 * bad.low:.0f}–{100 * bad.high:.0f}), against "
        "100% elsewhere (p < 0.001)"
    )
    assert good.value == "b" and not good.is_worse and good.accuracy == good.high == 1


def test_p_is_the_share_of_permutations_in_which_any_slice_is_as_bad() -> None:
    right = [False] * 4 + [True] * 6 + [False] + [True] * 9
    bad, _ = find_slices({"half": ["a"] * 10 + ["b"] * 10}, evaluated(right), 0.95, 1)
    # The wrong predictions have C(20, 5) places, some with four or all of them in the same half.
    assert bad.p == pytest.approx(2 * (210 * 10 + 252) / 15504, abs=0.03)


def test_small_and_repeated_slices_are_left_out() -> None:
    values = ["a"] * (LEAST - 1) + ["b"] * LEAST + [""] * 40
    columns = {"one": values, "same": values, "all": ["x"] * len(values)}
    slices = find_slices(columns, evaluated([True] * len(values)), 0.95, 1)
    assert [(row.column, row.value) for row in slices] == [("one", "b")]
    assert slices[0].p == 1
    assert find_slices({}, evaluated([True] * 40), 0.95, 1) == []


def test_weights_count() -> None:
    right = np.tile([True, False], 40)
    weights = np.where(right, 3.0, 1.0)
    weights[:4] = 0
    bad, _ = find_slices(
        {"half": ["a"] * 40 + ["b"] * 40}, evaluated(right, weights=weights), 0.95, 1
    )
    assert bad.accuracy == pytest.approx(0.75) and bad.elsewhere == pytest.approx(0.75)
    assert {bad.n} <= {36, 40} and not bad.is_worse


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_slices_do_not_depend_on_units_or_order_of_columns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    right, weights = rng.random(N) < 0.7, rng.random(N) + 0.5
    columns = {name: list(map(str, rng.integers(0, 3, N))) for name in ("one", "two")}
    slices = find_slices(columns, evaluated(right, weights=weights), 0.95, seed)
    other = find_slices(columns, evaluated(right, weights=5 * weights), 0.95, seed)
    assert list(map(str, slices)) == list(map(str, other))
    for row in slices:
        assert 0 < row.p <= 1 and row.low <= row.accuracy <= row.high


def false_alarms(groups: Integers, by_group: bool, spread: float, rng: np.random.Generator) -> int:
    """Number of 100 reports that name a slice of random columns, if groups differ in accuracy."""
    n_alarms, n_groups = 0, int(groups.max()) + 1
    for seed in range(100):
        quality = np.clip(0.75 + spread * rng.standard_normal(n_groups), 0, 1)
        right = rng.random(len(groups)) < quality[groups]
        columns = {}
        for k in (2, 3, 5, 8):
            values = rng.integers(0, k, n_groups)[groups]
            values = values if by_group else rng.permutation(values)
            columns[str(k)] = list(map(str, values))
        slices = find_slices(columns, evaluated(right, groups), 0.95, seed)
        n_alarms += any(row.is_worse for row in slices)
    return n_alarms


@pytest.mark.parametrize("by_group", [False, True], ids=["of paragraphs", "of articles"])
@pytest.mark.parametrize("spread", [0.0, 0.2], ids=["alike", "unlike"])
def test_chance_is_named_in_one_report_of_twenty_at_most(by_group: bool, spread: float) -> None:
    rng = np.random.default_rng(3)
    sizes = np.minimum(np.ceil(rng.lognormal(1.5, 1.0, 40)).astype(int), 60)  # of articles
    alarms = false_alarms(np.repeat(np.arange(40), sizes), by_group, spread, rng)
    assert alarms <= 100 * ALPHA + 4  # two standard errors
