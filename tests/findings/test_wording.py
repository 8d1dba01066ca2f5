"""Findings in words: the plan of a draw."""

from __future__ import annotations

import re

from paratopic.findings.wording import plan


def test_a_plan_has_the_widths_of_a_binomial_share_in_a_finite_group() -> None:
    groups = {"decade=1940s": (5, 15, 280), "decade=1950s": (0, 20, 40)}
    now, *more = plan(groups, ("trade", 0.1), 0.95)
    # 1.96 (0.5 * 0.5 / 20 * (1 - 20 / 280)) ** 0.5 is 0.211, with 0.1 * 0.9 it is 0.127.
    assert re.search("20 labels: .*± 21 points .* 50%, ± 13 points .* 10% .trade", now)
    # 45 more of the first group, and all 40 of the other.
    assert [line.partition(":")[0] for line in more] == [
        "50 labels in each group, or all 40 of decade=1950s (--n 85)",
        "100 labels in each group, or all 40 of decade=1950s (--n 135)",
    ]
    for sizes in (0, 7, 280), (0, 0, 25):  # all labels of the other were chosen
        few = plan({"decade=1940s": sizes}, None, 0.95)[0]
        assert "1 group has fewer than 20 labels" in few
