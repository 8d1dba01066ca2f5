"""What is said of what a model reads around a paragraph."""

from __future__ import annotations

from paratopic.evaluation.surroundings import gained, reads

ALONE = {"neighbours": 0.0, "heading": 0.0, "title": 0.0}
GAIN = {"context": {"gain": {"value": 0.0512, "low": -0.01, "high": 0.1, "p": 0.1, "beyond": 0.9}}}


def test_each_part_that_is_read_is_named_with_its_weight() -> None:
    assert reads(ALONE) == "reads each paragraph alone"
    all_parts = reads({"neighbours": 0.6, "heading": 0.3, "title": 0.3})
    assert all_parts.count("0.3") == 2 and "before and after it (weight 0.6)" in all_parts
    assert reads(ALONE | {"title": 0.3}).endswith("the title of its article (weight 0.3)")


def test_the_gain_has_its_interval_and_is_not_claimed_where_it_was_not_measured() -> None:
    heading = ALONE | {"heading": 0.3}
    assert gained(ALONE, GAIN) == gained(ALONE, {}) == ""
    assert "+0.051 (-0.010 to +0.100)" in gained(heading, GAIN)
    assert "not measured" in gained(heading, {"n": 25})
