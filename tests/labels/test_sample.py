"""Weights of labels, which depend on the draws of their paragraphs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.annotation.suggestion import draw_from_groups, draw_mixed, draw_random
from paratopic.corpus.labelled import SAMPLE_SCHEMA
from paratopic.labels.log import Label
from paratopic.labels.sample import RANDOM_SHARE, describe_sample, sample_of, weigh_sample
from tests.labels.lines import EARLY, LATE
from tests.samples import paragraph_table


def line(paragraph: str, drawn: str = "", cell: str = "trade", when: str = "") -> Label:
    return Label("labels.csv, line 2", paragraph, cell, "", "ann", when, drawn=drawn)


def table(n: int, hand: Sequence[str], **columns: Sequence[object]) -> pd.DataFrame:
    """n paragraphs 000, 001 and so on, some of them with a hand label."""
    ids = [f"{number:03}" for number in range(n)]
    sources = ["hand" if id_ in hand else "none" for id_ in ids]
    texts = [f"Text {id_}." for id_ in ids]
    return paragraph_table(**{"id": ids, "text": texts, "label_source": sources, **columns})


NOTHING_DRAWN = pd.DataFrame(columns=SAMPLE_SCHEMA.names)


def in_order(*lines: Label) -> list[Label]:
    """The lines with increasing times."""
    times = (f"2025-09-15T10:{n // 60:02}:{n % 60:02}Z" for n in range(len(lines)))
    return [replace(line, when=when) for line, when in zip(lines, times, strict=True)]


def weighed(frame: pd.DataFrame, *lines: Label) -> dict[str, tuple[str, Any]]:
    """Unit of the draw and weight of each paragraph that has one of them."""
    sample = weigh_sample(frame, lines, {})
    rows = zip(frame["id"], sample["draw"], sample["weight"], strict=True)
    return {id_: (kind, value) for id_, kind, value in rows if kind or not np.isnan(value)}


@given(st.integers(1, 40), st.data())
def test_paragraphs_that_were_all_drawn_at_random_weigh_1(n: int, data: st.DataObject) -> None:
    ids = [f"{number:03}" for number in range(n)]
    drawn = data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    lines = [line(id_, data.draw(st.sampled_from(["1", "1.0"]))) for id_ in drawn]
    expected = dict.fromkeys(drawn, ("paragraph", 1.0))
    assert weighed(table(n, drawn), *lines) == expected


def test_a_share_of_a_mixed_draw_is_estimated_without_bias() -> None:
    """One in ten of 200 paragraphs is of a rare class, and suggestions prefer it."""
    n, n_drawn, repeats = 200, 40, 150
    rng = np.random.default_rng(0)
    rare = np.arange(n) % 10 == 0
    preferred = rng.permutation(n)
    preferred = preferred[np.argsort(rng.random(n) - 0.7 * rare[preferred], kind="stable")]
    plain = table(n, [])
    shares = np.empty((repeats, 3))
    for seed in range(repeats):
        drawn = draw_mixed(plain, [], list(plain["id"][preferred]), n_drawn, seed)
        lines = [line(id_, chance) for id_, chance in drawn.items()]
        has_label = plain["id"].isin(list(drawn))
        frame = plain.assign(label_source=np.where(has_label, "hand", "none"))
        by_paragraph = sorted(lines, key=lambda line: line.paragraph)
        weight = weigh_sample(frame, in_order(*lines), {})["weight"]
        sheet_weight = weigh_sample(frame, by_paragraph, {})["weight"]
        shares[seed] = (
            weight[rare].sum() / (RANDOM_SHARE * n_drawn),
            sheet_weight[rare].sum() / sheet_weight.sum(),
            rare[has_label].mean(),
        )
    errors = shares.std(axis=0) / np.sqrt(repeats)
    assert (errors < 0.006).all()
    # The second is a ratio, which has a small bias.
    assert (abs(shares.mean(axis=0) - 0.1) < 3 * errors).tolist() == [True, True, False]
    assert shares[:, 2].mean() > 0.25


def test_weights_worked_out_by_hand() -> None:
    frame = table(4, ["000", "001", "002"])
    lines = line("000"), line("001", "1"), line("002", "0.5")
    # The third step counts half. At this step 2 paragraphs remain, and 3 at the second step. So
    # a(3) is .5 / 2, and a(2) is (1 - a(3)) / 3.
    assert weighed(frame, *lines) == {
        "000": ("", pytest.approx(1 / 4 + 1 / 4)),
        "001": ("paragraph", pytest.approx(1)),
        "002": ("paragraph", pytest.approx(1)),
    }
    # A paragraph that was chosen after the last draw has no weight.
    assert weighed(frame, *in_order(line("001", "1"), line("002", "1"), line("000"))) == {
        "000": ("", 0.0),
        "001": ("paragraph", 1.0),
        "002": ("paragraph", 1.0),
    }


def test_weights_of_draws_from_a_group_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paratopic.labels.sample.LEAST_DRAWN", 2)
    frame = table(10, ["000", "001", "002", "009"])
    members = {"half=a": {f"Text 00{number}." for number in range(4)}}
    lines = in_order(
        line("000", "1 of 10"),
        line("009", "1 of 10"),
        line("001", "1 of 4 in half=a"),
        line("002", "1 of 4 in half=a"),
    )
    sample = weigh_sample(frame, lines, members).set_index(frame["id"]).dropna()
    # In the group, 3 and 2 texts remained: a(3) is 1 / 2 and a(2) is (1 - 1 / 2) / 3. Their sum is
    # the weight of 000 there, in addition to its 1 among all. There are 2 labels for all 10 texts,
    # and 8 / 3 for the 4 of the group.
    counts = {"000": 1 + 2 / 3, "001": 1, "002": 1, "009": 1}
    mean = sum(counts.values()) / 10
    density = {id_: 0.2 if id_ == "009" else 0.2 + 2 / 3 for id_ in counts}
    expected = {id_: counts[id_] * mean / density[id_] for id_ in counts}
    assert sample["weight"].to_dict() == pytest.approx(expected)
    assert sample["effective_count"].tolist() == [1, 1, 1, 1]
    assert set(sample["draw"]) == {"paragraph"}
    # Draws from an unknown group count as chosen in another way.
    unknown = weigh_sample(frame, lines, {})
    other = weigh_sample(frame, in_order(*lines[:2], line("001"), line("002")), {})
    pd.testing.assert_frame_equal(unknown, other)
    # Without enough draws from all, labels represent only the group; both halves represent all.
    few = weigh_sample(frame, lines[1:], members)
    assert few["effective_count"].dropna().tolist() == pytest.approx([7 / 9, 1, 1, 1])
    frames = few.set_index(frame["id"])["frame"]
    assert frames[frames != ""].to_dict() == dict.fromkeys(["001", "002"], "half=a")
    assert few["weight"].tolist()[9] == 0 and (few["weight"].tolist()[1] > 0)
    members |= {"half=b": {f"Text 00{number}." for number in range(4, 10)}}
    other_half = replace(lines[1], drawn="1 of 6 in half=b")
    frame = table(10, ["001", "002", "009"])
    both_halves = weigh_sample(frame, [*lines[2:], other_half], members)
    assert both_halves["weight"].dropna().tolist() == pytest.approx([0.6, 0.6, 1.8])


@pytest.mark.parametrize("first", ["random", "mixed"])
def test_shares_of_all_and_of_a_group_are_without_bias(first: str) -> None:
    """Among 200 paragraphs, 24 are in a group, and another 40 in a group that overlaps it."""
    n, repeats = 200, 150
    rng = np.random.default_rng(1)
    number = np.arange(n)
    small, large = number < 24, (number >= 16) & (number < 56)
    rare = np.where(small, number % 3 == 0, np.where(large, number % 2 == 0, number % 10 == 0))
    plain = table(n, []).assign(effective_count=np.nan)
    members = {name: {*plain["text"][inside]} for name, inside in (("g=s", small), ("g=l", large))}
    suggested = list(plain["id"][np.argsort(rng.random(n) - 0.5 * rare, kind="stable")])
    shares_of_all, shares_of_small = np.empty(repeats), np.empty(repeats)
    for seed in range(repeats):
        drawn = (
            draw_random(plain, [], 30, seed)
            if first == "random"
            else draw_mixed(plain, [], suggested, 40, seed)
        )
        drawn |= draw_from_groups(plain, drawn, members, 20, seed)
        drawn |= draw_random(plain, drawn, 10, seed)
        hand = np.where(plain["id"].isin(list(drawn)), "hand", "none")
        lines = in_order(*(line(id_, how) for id_, how in drawn.items()))
        weight = weigh_sample(plain.assign(label_source=hand), lines, members)["weight"].fillna(0)
        shares_of_all[seed] = weight[rare].sum() / weight.sum()
        shares_of_small[seed] = weight[rare & small].sum() / weight[small].sum()
    for shares, truth in ((shares_of_all, rare.mean()), (shares_of_small, rare[small].mean())):
        error = shares.std() / np.sqrt(repeats)
        assert error < 0.011 and abs(shares.mean() - truth) < 3 * error


def test_labels_of_tables_were_there_before_or_say_what_was_drawn() -> None:
    before = {"000": ("paragraph", 1.0), "003": ("", pytest.approx(1 / 3))}
    assert weighed(table(4, ["000", "003"]), line("000", "1")) == before
    frame = table(6, ["000", "003"], draw=["paragraph", "", "", "paragraph", "", ""])
    assert weighed(frame) == {"000": ("paragraph", 1.0), "003": ("paragraph", 1.0)}
    draw = ["article", "article", "", "", "", ""]
    frame = table(6, ["000", "001", "003"], draw=draw, article=list("aabbbc"))
    assert weighed(frame) == {"000": ("article", 1.0), "001": ("article", 1.0)}


def test_the_order_is_that_of_the_times_and_of_the_chances_where_there_are_none() -> None:
    """As `merge` sorts the lines."""
    frame = table(3, ["000", "001"])
    expected = weighed(frame, *in_order(line("001"), line("000", "1")))
    assert expected["001"] == ("", pytest.approx(1 / 2))
    assert weighed(frame, line("000", "1", when=LATE), line("001", when=EARLY)) == expected
    assert weighed(frame, line("000", "1"), line("001")) == expected
    suggested = line("001", "2.4"), line("000", "1.7")
    assert weighed(frame, *suggested[::-1]) == weighed(frame, *in_order(*suggested))


def test_a_paragraph_that_is_labelled_again_is_not_drawn_again() -> None:
    frame = table(9, ["000", "001"])
    lines = in_order(line("001", "1"), line("000", "0.3"))
    expected = weighed(frame, *lines)
    again = line("001", "", "security")
    assert weighed(frame, *lines, again) == weighed(frame, again, *lines) == expected
    assert weighed(frame, *lines, line("001", "0.5", when=LATE)) == expected
    # Lines without a vote, or on paragraphs without a hand label, change nothing.
    assert weighed(frame, line("001", "0.7", "?"), *lines) == expected
    assert weighed(frame, line("008", "1"), line("gone", "1"), *lines) == expected


def test_copies_of_a_text_are_one_paragraph() -> None:
    texts = ["A.", "B.", "B.", "C."]
    frame = table(4, ["000", "001"], text=texts)
    expected = weighed(table(3, ["000", "001"]), line("001", "0.5"), line("000", "1"))
    assert weighed(frame, line("001", "0.5"), line("000", "1")) == expected
    frame = table(4, ["000", "001", "002"], text=texts)
    shared = weighed(frame, line("002", "0.5"), line("000", "1"), line("001"))
    half = "paragraph", pytest.approx(expected["001"][1] / 2)
    assert shared == {"000": expected["000"], "001": half, "002": half}


def test_labels_of_whole_articles_represent_the_other_paragraphs() -> None:
    frame = table(7, ["000", "001", "003", "004", "005"], article=list("aaabbcc"))
    lines = [line(id_, "article") for id_ in ("000", "001", "003")]
    assert weighed(frame, *lines, line("004"), line("005", "1"), line("005", "1")) == {
        "000": ("article", 1.5),
        "001": ("article", 1.5),
        "003": ("article", 2.0),
    }
    # Paragraphs that were drawn one by one get the weights if there are as many of them.
    weights = weighed(frame, lines[0], line("005", "1"))
    assert weights["000"] == ("", pytest.approx(1 / 3)) and weights["005"] == ("paragraph", 1.0)


def test_a_text_of_two_drawn_articles_weighs_as_one_of_one() -> None:
    texts = ["One.", "Two.", "Three.", "Two.", "Three.", "Four."]
    frame = table(6, ["000", "001", "002", "005"], text=texts, article=list("aaabbb"))
    lines = [line(id_, "article") for id_ in ("000", "001", "002", "005")]
    weights = {id_: weight for id_, (_, weight) in weighed(frame, *lines).items()}
    assert set(weights.values()) == {1}
    weights = {id_: weight for id_, (_, weight) in weighed(frame, *lines[:3]).items()}
    assert weights == {"000": 1, "001": 0.5, "002": 0.5}  # a draw is twice as likely to have them


@pytest.mark.parametrize("drawn", ["1", "article"])
def test_a_long_text_takes_no_memory_for_each_other_text(drawn: str) -> None:
    ids = [f"{number:03}" for number in range(500)]
    texts = [f"Text {id_}." for id_ in ids[1:]]
    frame = table(500, ids, text=["long " * 40_000, *texts])
    lines = [line(id_, drawn) for id_ in ids]
    tracemalloc.start()
    weighed(frame, *lines)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # one text has 0.2 MB, and 500 as long ones in UTF-32 have 400 MB


@pytest.mark.parametrize("drawn", ["1", "0.5", "article"])
def test_boilerplate_changes_no_weight(drawn: str) -> None:
    frame = table(6, ["000", "003"], article=list("aaabbb"))
    more = table(9, ["000", "003"], article=list("aaabbb") + list("abc"))
    more["boilerplate"] = [False] * 6 + [True] * 3
    lines = in_order(line("000", drawn), line("003", drawn))
    assert weighed(more, *lines) == weighed(frame, *lines)


def test_the_sample_is_described() -> None:
    frame = table(4, ["000", "001", "003"], article=list("aabb"))
    for lines, kind, drawn, words in (
        ([line("000")], None, 0, "`random: true`"),
        ([line("000", "1"), line("001")], "paragraph", 1, "1 of 3 were drawn at random (paragr"),
        ([line("000", "article")], "article", 1, "1 of 3 were drawn at random (whole articles)"),
    ):
        weights = weigh_sample(frame, lines, {})
        sample = sample_of(frame.assign(draw=weights["draw"]), NOTHING_DRAWN, lines)
        assert (sample.kind, sample.drawn) == (kind, drawn)
        assert words in describe_sample(sample, 3)
        assert weights["weight"].isna().all() == (kind is None)


@pytest.mark.parametrize(("drawn", "is_earlier"), [("1 of 3", True), ("1 of 4", False)])
def test_a_sample_from_fewer_paragraphs_than_now_is_described(drawn: str, is_earlier: bool) -> None:
    frame, lines = table(5, ["000", "001"], boilerplate=[False] * 4 + [True]), [line("000", drawn)]
    draw = weigh_sample(frame, lines, {})["draw"]
    sample = sample_of(frame.assign(draw=draw), NOTHING_DRAWN, lines)
    words = "1 was drawn when there were 3 paragraphs, and there are 4"
    assert (words in describe_sample(sample, 2)) == is_earlier


def two_tables(labelled: Sequence[str], draw: str = "paragraph") -> pd.DataFrame:
    """A table old of 4 paragraphs and a table new of 16, of which some are drawn and labelled."""
    ids = [*(f"old:{n}" for n in range(4)), *(f"new:{n:02}" for n in range(16))]
    by_hand = ["hand" if id_ in labelled else "none" for id_ in ids]
    draws = [draw if id_ in labelled else "" for id_ in ids]
    texts = [f"Text {id_}." for id_ in ids]
    return paragraph_table(id=ids, text=texts, article=ids, label_source=by_hand, draw=draws)


def texts_of_tables(frame: pd.DataFrame) -> dict[str, set[str]]:
    texts = {}
    for name in ("old", "new"):
        texts[f"table {name}"] = {*frame["text"][frame["id"].str.startswith(f"{name}:")]}
    return texts


@pytest.mark.parametrize("draw", ["paragraph", "article"])
def test_tables_weigh_as_much_as_they_have_rows(draw: str) -> None:
    frame = two_tables(["old:0", "old:1", "new:00", "new:01"], draw)
    sample = weigh_sample(frame, [], texts_of_tables(frame)).set_index(frame["id"])
    known = sample[sample["weight"].notna()]
    # 2 of 4 and 2 of 16: each label of the second table stands for four times as many rows.
    assert (known["weight"] / known["weight"]["old:0"]).tolist() == pytest.approx([1, 1, 4, 4])
    assert set(known["draw"]) == {draw} and known["effective_count"].tolist() == [1] * 4


def test_a_fully_labelled_table_weighs_as_much_as_it_has_rows() -> None:
    labelled = [*(f"old:{n}" for n in range(4)), "new:00", "new:01"]
    frame = two_tables(labelled)
    frame["draw"] = frame["draw"].where(frame["id"].str.startswith("new:"), "")  # not known
    sample = weigh_sample(frame, [], texts_of_tables(frame)).set_index(frame["id"])
    known = sample["weight"].dropna()
    assert (known / known["old:0"]).tolist() == pytest.approx([1, 1, 1, 1, 8, 8])
    draws = sample["draw"][sample["draw"] != ""]
    assert draws.to_dict() == dict.fromkeys(["new:00", "new:01"], "paragraph")


@pytest.mark.parametrize("draw", ["paragraph", "article"])
def test_labels_of_one_table_represent_only_this_table(draw: str) -> None:
    frame = two_tables(["old:0", "old:1"], draw)
    sample = weigh_sample(frame, [], texts_of_tables(frame)).set_index(frame["id"])
    old_rows = sample.loc[["old:0", "old:1"]]
    assert set(old_rows["draw"]) == {draw} and set(old_rows["frame"]) == {"table old"}
    columns = {name: sample[name].tolist() for name in ("draw", "frame")}
    description = describe_sample(sample_of(frame.assign(**columns), NOTHING_DRAWN, []), 2)
    assert "all from table old" in description
    # A table is not named if it contains all paragraphs.
    only_table = frame[:4]
    sample = weigh_sample(only_table, [], {"table old": {*only_table["text"]}})
    assert set(sample["draw"]) == {draw, ""} and sample["weight"].dropna().tolist() == [1, 1]
