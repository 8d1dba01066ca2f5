"""Agreement of annotators, against values from the literature."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from paratopic.labels.agreement import agreement, krippendorff_alpha
from paratopic.labels.log import Label
from paratopic.project.topics import Topics

NAMES = ("trade", "technology", "security")
TOPICS = Topics("single", NAMES)

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example C: four observers,
# twelve units, nominal, some values missing; alpha = .743.
FOUR = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]
# Example A: two observers, ten units, binary; alpha = .095.
TWO = ["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"]
# Example B: two observers, twelve units, five nominal values; alpha = .692.
FIVE = ["1 1 2 2 4 3 3 3 5 4 4 1", "2 1 2 2 2 3 3 3 5 4 4 4"]


def units(rows: list[str]) -> list[list[frozenset[str]]]:
    columns = []
    for votes in zip(*map(str.split, rows), strict=True):
        columns.append([frozenset(vote) for vote in votes if vote != "."])
    return columns


@pytest.mark.parametrize(("rows", "value"), [(FOUR, 0.743), (TWO, 0.095), (FIVE, 0.692)])
def test_alpha_has_the_values_of_the_literature(rows: list[str], value: float) -> None:
    assert krippendorff_alpha(units(rows)) == pytest.approx(value, abs=5e-4)


def test_alpha_is_1_when_all_agree_and_0_by_chance() -> None:
    assert krippendorff_alpha(units(["1 2", "1 2", ". 2"])) == 1
    assert krippendorff_alpha(units(["1 1", "1 1"])) is None
    drawn = np.random.default_rng(0).integers(0, 3, (2, 4000))
    chance = krippendorff_alpha(units([" ".join(map(str, row)) for row in drawn]))
    assert chance == pytest.approx(0, abs=0.05)


def labels(annotator: str, *cells: str) -> list[Label]:
    """An annotator's votes on paragraphs 0, 1, …; "?" leaves one out."""
    return [Label("", f"a:{n}", cell, "", annotator) for n, cell in enumerate(cells) if cell != "?"]


def test_macro_f1_of_two_annotators() -> None:
    one = ("trade", "trade;security", "security", "technology", "", "trade", "?")
    other = ("trade", "security", "security", "technology", "trade", "", "trade")
    measured = agreement([*labels("ann", *one), *labels("bo", *other)], TOPICS)
    assert measured is not None
    assert (measured.annotators, measured.paragraphs) == (("ann", "bo"), 6)
    # As for models, "none of the topics" is a class too.
    dominant_one = [cell.split(";")[0] for cell in one[:6]]
    dominant_other = [cell.split(";")[0] for cell in other[:6]]
    scores = []
    for true, votes in ((dominant_one, dominant_other), (dominant_other, dominant_one)):
        scores.append(f1_score(true, votes, labels=sorted(set(true)), average="macro"))
    assert measured.macro_f1 == pytest.approx(np.mean(scores))
    swapped = agreement([*labels("bo", *other), *labels("ann", *one)], TOPICS)
    assert swapped == measured


def test_what_cannot_be_measured_is_none() -> None:
    assert agreement([], TOPICS) is None
    assert agreement([*labels("ann", "trade"), *labels("bo", "?", "trade")], TOPICS) is None
    # An annotator with two votes on a paragraph does not count.
    twice = [*labels("ann", "trade"), *labels("ann", "security"), *labels("bo", "trade")]
    assert agreement(twice, TOPICS) is None
    same = [*labels("ann", "trade", "trade"), *labels("bo", "trade", "trade")]
    measured = agreement(same, TOPICS)
    assert measured is not None
    assert (measured.alpha, measured.macro_f1) == (None, 1)
    single = agreement([*labels("ann", ""), *labels("bo", "")], TOPICS)
    assert single is not None and single.macro_f1 == 1  # "none of the topics" is a class
    multi = agreement([*labels("ann", ""), *labels("bo", "")], Topics("multi", NAMES))
    assert multi is not None and multi.macro_f1 is None


def test_votes_that_share_topics_agree_in_part() -> None:
    multi = Topics("multi", NAMES)
    one = ("trade;security", "trade", "", "technology", "trade;security")
    other = ("security;trade", "trade;security", "trade", "technology", "trade;technology")
    measured = agreement([*labels("ann", *one), *labels("bo", *other)], multi)
    assert measured is not None
    # Passonneau 2006: a subset is at 1 - 2/3 * 1/2, and two overlapping sets at 1 - 1/3 * 1/3.
    observed = (0 + 2 / 3 + 1 + 0 + 8 / 9) / 5
    sets = [frozenset(filter(None, cell.split(";"))) for cell in (*one, *other)]
    alpha = krippendorff_alpha([[sets[n], sets[n + 5]] for n in range(5)])
    assert measured.alpha == alpha is not None
    # 1 - alpha is the observed distance over the mean distance of all pairs.
    pairs = [(a, b) for n, a in enumerate(sets) for b in sets[n + 1 :] if a != b]
    expected = sum(
        1 - (2 / 3 if a <= b or b <= a else 1 / 3) * len(a & b) / len(a | b) for a, b in pairs
    )
    assert alpha == pytest.approx(1 - observed / (expected / 45))
