"""Weights of labels by how their paragraphs were drawn."""

from __future__ import annotations

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
    """The lines with times, each later than those before."""
    times = (f"2025-09-15T10:{n // 60:02}:{n % 60:02}Z" for n in range(len(lines)))
    return [replace(each, when=when) for each, when in zip(lines, times, strict=True)]


def weighed(frame: pd.DataFrame, *lines: Label) -> dict[str, tuple[str, Any]]:
    """What was drawn, and the weight, of each paragraph with either."""
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
        weight, of_sheet = (
            weigh_sample(frame, each, {})["weight"] for each in (in_order(*lines), by_paragraph)
        )
        shares[seed] = (
            weight[rare].sum() / (RANDOM_SHARE * n_drawn),
            of_sheet[rare].sum() / of_sheet.sum(),
            rare[has_label].mean(),
        )
    errors = shares.std(axis=0) / np.sqrt(repeats)
    assert (errors < 0.006).all()
    # The second is a ratio, which has a bias, if a small one.
    assert (abs(shares.mean(axis=0) - 0.1) < 3 * errors).tolist() == [True, True, False]
    assert shares[:, 2].mean() > 0.25


def test_weights_worked_out_by_hand() -> None:
    frame = table(4, ["000", "001", "002"])
    lines = line("000"), line("001", "1"), line("002", "0.5")
    # The third step counts half. 2 are left there and 3 at the second one, before which a(3) is
    # .5 / 2, and a(2) is (1 - a(3)) / 3.
    assert weighed(frame, *lines) == {
        "000": ("", pytest.approx(1 / 4 + 1 / 4)),
        "001": ("paragraph", pytest.approx(1)),
        "002": ("paragraph", pytest.approx(1)),
    }
    # One that was chosen after the last draw is vouched for by none.
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
    # In the group, 3 and 2 texts were left: a(3) is 1 / 2 and a(2) is (1 - 1 / 2) / 3, which 000
    # weighs there beside its 1 of all. Of all there are 2 labels for 10 texts, and 8 / 3 for 4.
    counts = {"000": 1 + 2 / 3, "001": 1, "002": 1, "009": 1}
    mean = sum(counts.values()) / 10
    density = {id_: 0.2 if id_ == "009" else 0.2 + 2 / 3 for id_ in counts}
    expected = {id_: counts[id_] * mean / density[id_] for id_ in counts}
    assert sample["weight"].to_dict() == pytest.approx(expected)
    assert sample["effective_count"].tolist() == [1, 1, 1, 1] and set(sample["draw"]) == {
        "paragraph"
    }
    # Draws from a group that is gone count as chosen in another way.
    gone = weigh_sample(frame, lines, {})
    other = weigh_sample(frame, in_order(*lines[:2], line("001"), line("002")), {})
    pd.testing.assert_frame_equal(gone, other)
    # Without enough draws from all, labels stand for the group alone; both halves are all.
    few = weigh_sample(frame, lines[1:], members)
    assert few["effective_count"].dropna().tolist() == pytest.approx([7 / 9, 1, 1, 1])
    of_group = few.set_index(frame["id"])["frame"]
    assert of_group[of_group != ""].to_dict() == dict.fromkeys(["001", "002"], "half=a")
    assert few["weight"].tolist()[9] == 0 and (few["weight"].tolist()[1] > 0)
    rest = {"half=b": {f"Text 00{number}." for number in range(4, 10)}}
    of_rest = replace(lines[1], drawn="1 of 6 in half=b")
    both = weigh_sample(table(10, ["001", "002", "009"]), [*lines[2:], of_rest], members | rest)
    assert both["weight"].dropna().tolist() == pytest.approx([0.6, 0.6, 1.8])


@pytest.mark.parametrize("first", ["random", "mixed"])
def test_shares_of_all_and_of_a_group_are_without_bias(first: str) -> None:
    """Of 200 paragraphs, 24 are in a group, and another 40 in one that overlaps it."""
    n, repeats = 200, 150
    rng = np.random.default_rng(1)
    number = np.arange(n)
    small, large = number < 24, (number >= 16) & (number < 56)
    rare = np.where(small, number % 3 == 0, np.where(large, number % 2 == 0, number % 10 == 0))
    plain = table(n, []).assign(effective_count=np.nan)
    members = {name: {*plain["text"][inside]} for name, inside in (("g=s", small), ("g=l", large))}
    suggested = list(plain["id"][np.argsort(rng.random(n) - 0.5 * rare, kind="stable")])
    of_all, of_small = np.empty(repeats), np.empty(repeats)
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
        of_all[seed] = weight[rare].sum() / weight.sum()
        of_small[seed] = weight[rare & small].sum() / weight[small].sum()
    for shares, truth in ((of_all, rare.mean()), (of_small, rare[small].mean())):
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
    # Lines without an answer, or on paragraphs that have no hand label, say nothing.
    assert weighed(frame, line("001", "0.7", "?"), *lines) == expected
    assert weighed(frame, line("008", "1"), line("gone", "1"), *lines) == expected


def test_copies_of_a_text_are_one_paragraph() -> None:
    texts = ["A.", "B.", "B.", "C."]
    frame = table(4, ["000", "001"], text=texts)
    alone = weighed(table(3, ["000", "001"]), line("001", "0.5"), line("000", "1"))
    assert weighed(frame, line("001", "0.5"), line("000", "1")) == alone
    both = table(4, ["000", "001", "002"], text=texts)
    shared = weighed(both, line("002", "0.5"), line("000", "1"), line("001"))
    half = "paragraph", pytest.approx(alone["001"][1] / 2)
    assert shared == {"000": alone["000"], "001": half, "002": half}


def test_of_whole_articles_labels_stand_for_the_other_paragraphs() -> None:
    frame = table(7, ["000", "001", "003", "004", "005"], article=list("aaabbcc"))
    lines = [line(id_, "article") for id_ in ("000", "001", "003")]
    assert weighed(frame, *lines, line("004"), line("005", "1"), line("005", "1")) == {
        "000": ("article", 1.5),
        "001": ("article", 1.5),
        "003": ("article", 2.0),
    }
    # As many were drawn one by one: then these are weighed.
    more = weighed(frame, lines[0], line("005", "1"))
    assert more["000"] == ("", pytest.approx(1 / 3)) and more["005"] == ("paragraph", 1.0)


def test_a_text_of_two_drawn_articles_weighs_as_one_of_one() -> None:
    texts = ["One.", "Two.", "Three.", "Two.", "Three.", "Four."]
    frame = table(6, ["000", "001", "002", "005"], text=texts, article=list("aaabbb"))
    lines = [line(id_, "article") for id_ in ("000", "001", "002", "005")]
    weights = {id_: weight for id_, (_, weight) in weighed(frame, *lines).items()}
    assert set(weights.values()) == {1}
    weights = {id_: weight for id_, (_, weight) in weighed(frame, *lines[:3]).items()}
    assert weights == {"000": 1, "001": 0.5, "002": 0.5}  # a draw is twice as likely to have them


@pytest.mark.parametrize("drawn", ["1", "0.5", "article"])
def test_boilerplate_changes_no_weight(drawn: str) -> None:
    frame = table(6, ["000", "003"], article=list("aaabbb"))
    more = table(9, ["000", "003"], article=list("aaabbb") + list("abc"))
    more["boilerplate"] = [False] * 6 + [True] * 3
    lines = in_order(line("000", drawn), line("003", drawn))
    assert weighed(more, *lines) == weighed(frame, *lines)


def test_what_the_labels_are_a_sample_of_is_said() -> None:
    frame = table(4, ["000", "001", "003"], article=list("aabb"))
    for lines, kind, drawn, told in (
        ([line("000")], None, 0, "`random: true`"),
        ([line("000", "1"), line("001")], "paragraph", 1, "1 of 3 were drawn at random (paragr"),
        ([line("000", "article")], "article", 1, "1 of 3 were drawn at random (whole articles)"),
    ):
        weights = weigh_sample(frame, lines, {})
        sample = sample_of(frame.assign(draw=weights["draw"]), NOTHING_DRAWN, lines)
        assert (sample.kind, sample.drawn) == (kind, drawn)
        assert told in describe_sample(sample, 3)
        assert weights["weight"].isna().all() == (kind is None)


@pytest.mark.parametrize(("drawn", "is_earlier"), [("1 of 3", True), ("1 of 4", False)])
def test_a_sample_of_fewer_paragraphs_than_there_are_now_is_said(
    drawn: str, is_earlier: bool
) -> None:
    frame, lines = table(5, ["000", "001"], boilerplate=[False] * 4 + [True]), [line("000", drawn)]
    draw = weigh_sample(frame, lines, {})["draw"]
    sample = sample_of(frame.assign(draw=draw), NOTHING_DRAWN, lines)
    told = "1 was drawn when there were 3 paragraphs, and there are 4"
    assert (told in describe_sample(sample, 2)) == is_earlier


def two_tables(labelled: Sequence[str], draw: str = "paragraph") -> pd.DataFrame:
    """A table old of 4 paragraphs and a table new of 16, of which some are drawn and labelled."""
    ids = [*(f"old:{n}" for n in range(4)), *(f"new:{n:02}" for n in range(16))]
    by_hand = ["hand" if id_ in labelled else "none" for id_ in ids]
    draws = [draw if id_ in labelled else "" for id_ in ids]
    texts = [f"Text {id_}." for id_ in ids]
    return paragraph_table(id=ids, text=texts, article=ids, label_source=by_hand, draw=draws)


def texts_of_tables(frame: pd.DataFrame) -> dict[str, set[str]]:
    return {
        f"table {name}": {*frame["text"][frame["id"].str.startswith(f"{name}:")]}
        for name in ("old", "new")
    }


@pytest.mark.parametrize("draw", ["paragraph", "article"])
def test_tables_weigh_as_much_as_they_have_rows(draw: str) -> None:
    frame = two_tables(["old:0", "old:1", "new:00", "new:01"], draw)
    sample = weigh_sample(frame, [], texts_of_tables(frame)).set_index(frame["id"])
    known = sample[sample["weight"].notna()]
    # 2 of 4 and 2 of 16: each label of the second table stands for four times as many rows.
    assert (known["weight"] / known["weight"]["old:0"]).tolist() == pytest.approx([1, 1, 4, 4])
    assert set(known["draw"]) == {draw} and known["effective_count"].tolist() == [1] * 4


def test_a_table_that_is_labelled_as_a_whole_is_a_count() -> None:
    labelled = [*(f"old:{n}" for n in range(4)), "new:00", "new:01"]
    frame = two_tables(labelled)
    frame["draw"] = frame["draw"].where(frame["id"].str.startswith("new:"), "")  # not known
    sample = weigh_sample(frame, [], texts_of_tables(frame)).set_index(frame["id"])
    known = sample["weight"].dropna()
    assert (known / known["old:0"]).tolist() == pytest.approx([1, 1, 1, 1, 8, 8])
    assert sample["draw"][sample["draw"] != ""].to_dict() == dict.fromkeys(
        ["new:00", "new:01"], "paragraph"
    )


@pytest.mark.parametrize("draw", ["paragraph", "article"])
def test_labels_of_one_table_stand_for_it_alone(draw: str) -> None:
    frame = two_tables(["old:0", "old:1"], draw)
    sample = weigh_sample(frame, [], texts_of_tables(frame)).set_index(frame["id"])
    of_old = sample.loc[["old:0", "old:1"]]
    assert set(of_old["draw"]) == {draw} and set(of_old["frame"]) == {"table old"}
    columns = {name: sample[name].tolist() for name in ("draw", "frame")}
    said = describe_sample(sample_of(frame.assign(**columns), NOTHING_DRAWN, []), 2)
    assert "all from table old" in said
    # A table that is all that there is needs no name.
    alone = frame[:4]
    whole = weigh_sample(alone, [], {"table old": {*alone["text"]}})
    assert set(whole["draw"]) == {draw, ""} and whole["weight"].dropna().tolist() == [1, 1]
