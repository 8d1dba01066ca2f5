"""Tables of findings: cells to read and numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from paratopic.findings.groups import BORROWED, COUNT, OWN, Findings
from paratopic.findings.share_tables import as_text, change_table, number_table, share_table

NAMES = ("R&D_50%", "[sic] | <a>")


def findings() -> Findings:
    """Two outlets and all, of which one outlet borrows and one is counted."""
    table = pd.DataFrame(
        {
            "outlet": np.repeat(["(all)", "Post", "Times"], 2),
            "topic": [*NAMES] * 3,
            "share": [0.5, 0.002, 0.25, 0.75, 0.4, 0.6],
            "low": [0.4, 0.0, np.nan, np.nan, 0.4, 0.6],
            "high": [0.6, 0.01, np.nan, np.nan, 0.4, 0.6],
            "paragraphs": np.repeat([1200, 1000, 200], 2),
            "articles": 9,
            "labels": np.repeat([240, 40, 200], 2),
            "rests_on": np.repeat([OWN, BORROWED, COUNT], 2),
        }
    )
    changes = pd.DataFrame(
        {
            "what": ["trends minus Post"] * 2 + ["trend per year"] * 2,
            "topic": [*NAMES] * 2,
            "change": [0.15, -0.15, 0.0012, np.nan],
            "low": [0.1, -0.2, 0.001, np.nan],
            "high": [0.2, -0.1, 0.0015, np.nan],
        }
    )
    return Findings(table, changes, compared=("trends", "Post"))


def test_cells_have_intervals_and_marks() -> None:
    across = share_table(findings(), ["outlet"])
    assert across.words == ["outlet"] and across.figures == [*NAMES, "labels"]
    assert across.rows[1] == ("Post", "25*", "75*", "40 of 1,000")
    assert across.rows[2] == ("Times", "40=", "60=", "200 of 200")
    narrow = share_table(findings(), ["outlet"], narrow=True)
    assert narrow.rows[0] == ("(all)", "50\n(40–60)", "<1\n(0–1)", "240\nof 1,200")
    down = share_table(findings(), ["outlet"], across=False)
    assert down.rows[1] == ("(all)", NAMES[1], "<1 (0–1)", "240 of 1,200")
    weighted = replace(findings(), is_effective=True)
    assert share_table(weighted, ["outlet"]).figures[-1] == "effective labels"
    whole = Findings(findings().table[:2].drop(columns="outlet"), pd.DataFrame({"low": []}))
    assert share_table(whole, []).words == ["topic"]


def test_changes_have_a_line_for_each_topic() -> None:
    shown = change_table(findings())
    assert shown is not None and shown.figures == ["trends minus Post", "trend per year"]
    assert shown.rows[0] == [NAMES[0], "+15.0 (+10.0 to +20.0)", "+0.12 (+0.10 to +0.15)"]
    assert shown.rows[1] == [NAMES[1], "−15.0 (−20.0 to −10.0)", "–"]


def test_numbers_of_shares_differences_and_trends_are_one_table() -> None:
    table = number_table(findings())
    assert table["what"].tolist() == ["share"] * 6 + ["difference"] * 2 + ["trend"] * 2
    assert list(table) == ["what", *findings().table]
    assert table["outlet"].tolist()[6::2] == ["trends minus Post", "trend per year"]
    assert table["labels"].dtype == "Int64" and table["share"].iloc[6] == 0.15


def test_names_are_escaped_in_papers() -> None:
    shown = {"Shares (in %)": share_table(findings(), ["outlet"]), "Changes": None}
    latex = as_text(shown, ["* few: 5%"], ".tex").splitlines()
    begin = [r"\begin{table}", r"\centering", r"\caption{Shares (in \%)}"]
    assert latex[:5] == [*begin, r"\label{tab:shares}", r"\begin{tabular}{lrrr}"]
    assert latex[6] == (
        r"outlet & R\&D\_50\% & {[}sic] \textbar{} \textless{}a\textgreater{} & labels \\"
    )
    assert latex[-3:] == [r"* few: 5\%\par", r"\end{minipage}", r"\end{table}"]
    changes = as_text({"Changes": change_table(findings())}, [], ".tex")
    assert r"& $-$15.0 ($-$20.0 to $-$10.0) &" in changes
    markdown = as_text(shown, ["* few"], ".md").splitlines()
    assert markdown[2:4] == [
        r"| outlet | R&D_50% | [sic] \| <a> | labels |",
        "| :-- | --: | --: | --: |",
    ]
    assert markdown[-1] == r"\* few"
