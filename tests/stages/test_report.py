"""Stage report: the page that the other stages' files make, in both modes and without labels.

What it counts is what all other files and commands count.
"""

from __future__ import annotations

import random
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.model_report import Metrics
from paratopic.project.files import FINAL, HISTORY, Paths, read_json, write_csv
from paratopic.project.topics import NONE, ModeName
from tests.programs import ROOT, Cli, run_stages
from tests.samples import WORDS, paragraph, write_params

OF_MODEL = ("fit", "calibrate", "evaluate", "train", "package")
PIPELINE = ["installed", "prepare", "split", *(f"{s} baseline" for s in OF_MODEL), "compare"]
LOADS = ("src", "srcset", "data", "href", "xlink:href", "action", "poster")
EVIL = '<script src="https://example.org/x.js"></script><b onclick="x">'


class Page(HTMLParser):
    """What a page would load, the tags and ids that it has, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str | None] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in LOADS and tag != "a" and not (value or "").startswith("#"):
                self.loads.append(value or "")
            if name == "id":
                self.ids.append(value)
            if name == "style":
                self.handle_style(value or "")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style":
            self.handle_style(data)
        self.text += data

    def handle_style(self, style: str) -> None:
        self.loads += re.findall(r"url\([^)]*\)|@import[^;]*|image-set\([^)]*\)", style)


def start(mode: ModeName, models: list[str], source: str) -> None:
    """Write params.yaml for a source with the topics of `WORDS`."""
    codebook = [{"name": name, "definition": f"About {name} & more."} for name in WORDS]
    settings = {"topics": {"mode": mode, "codebook": codebook}, "models": models}
    prepare = {"prepare.sources": [source], "prepare.labels": None, "prepare.no_topic": ["nothing"]}
    write_params(settings | prepare | {"split.n_repeats": 2})


@pytest.fixture(autouse=True)
def project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's folder, which DVC takes to be up to date, and no browser."""
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    monkeypatch.setattr("webbrowser.open", lambda url: True)


def written() -> str:
    run_stages("report")
    return Paths().page.read_text(encoding="utf-8")


def on_request(cli: Cli) -> str:
    cli("report", "--open")
    return Paths().whole_page.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_a_page_that_asks_no_network_and_runs_nothing(mode: ModeName, cli: Cli) -> None:
    rng = random.Random(5)
    made = []
    for number in range(40):
        names = rng.sample(list(WORDS), [1, 1, 0, 1][number % 4])
        if mode == "multi" and number % 5 == 0:
            names = ["trade", "security"]
        text = (
            " ".join(paragraph(name, rng) for name in names) or "It rained and then the sun came."
        )
        made.append(
            (f"{EVIL} {text} {number}", ";".join(names) or "nothing", f"article {number % 8}")
        )
    # One label that the words of its paragraph contradict.
    made.append((f"{paragraph('trade', rng, 60)}", "technology", "article 1"))
    # What is labelled as a whole would be counted.
    made += [(paragraph("trade", rng), "", article) for article in ("article 0", "article 7")]
    table = pd.DataFrame(made, columns=["text", "label", "group"]).assign(drawn="1")
    dates = table["group"].map(lambda name: "2025-04" if name < "article 4" else "2025-09")
    write_csv(Path("table.csv"), table.assign(date=dates))
    start(mode, ["baseline", "transformer"], "table.csv")
    run_stages("installed", "prepare", "split", "fit baseline", "calibrate baseline")
    # A second model with the same scores, which has no history.
    shutil.copytree(Paths().scores / "baseline", Paths().scores / "transformer")
    empty = pd.DataFrame(columns=["repeat", "fold", "step", "loss"])
    (Paths().raw_scores / "transformer").mkdir()
    write_csv(Paths().raw_scores / "transformer" / HISTORY, empty)
    run_stages("evaluate baseline", "evaluate transformer", "train baseline", "compare")
    write_csv(Paths().model_reports / "transformer" / "final.csv", empty[["step", "loss"]])
    shutil.copy(Paths().model_reports / "baseline" / FINAL, Paths().model_reports / "transformer")

    html = written()
    page = Page(html)
    assert page.loads == ["data:,"]
    sections = re.findall(r'<section id="(\w+)"', html)
    assert re.findall(r'(?m)^<a href="#(\w+)"', html) == sections and len(sections) == 11
    assert not {"script", "iframe", "img", "object", "embed"} & page.tags
    assert len(page.ids) == len(set(page.ids))
    assert EVIL in page.text
    assert "default-src 'none'" in html
    assert len(html.encode()) < 150_000
    assert written() == html
    for heading in (
        *("What was labelled", "The models", "Which model is the champion, and why"),
        "Topic by topic",
        *("Can the probabilities be trusted?", "Fewer answers, fewer mistakes", "Training"),
        *("Where it goes wrong", "Labels worth a second look"),
    ):
        assert f"<h2>{heading}</h2>" in html
    assert html.count('role="img"') == 4  # reliability of both, risk, loss of the baseline
    assert "transformer: no curve" in html and "The encoder is used as it is" in html
    doubtful = html.partition("Labels worth a second look")[2]
    assert "the models" in doubtful
    assert "doubtful." in doubtful and "paratopic review" in doubtful
    assert "<td>technology</td><td>trade " in doubtful
    assert ("macro-F1 of answers" in html) == (mode == "single")
    assert ("mean average precision" in html) == (mode == "multi")
    assert "How much is about what" not in html and "≈" not in page.text
    comparison = Comparison.load(Paths().comparison)
    pair = f"{comparison.champion} - dummy"
    for significant in (True, False):
        lead = replace(comparison.differences[pair], value=0.1, significant=significant)
        changed = comparison.differences | {pair: lead}
        comparison.model_copy(update={"differences": changed}).save(Paths().comparison)
        in_short = Page(written().partition("</section>")[0]).text
        assert ("not significantly better than a dummy that always" in in_short) != significant

    whole = on_request(cli)
    assert whole == on_request(cli)
    page = Page(whole)
    assert page.loads == ["data:,"] and len(page.ids) == len(set(page.ids))
    assert EVIL in page.text and "script" not in page.tags
    text = " ".join(page.text.split())
    assert "41 labels drawn at random" in text and "arXiv:2311.01453" in text
    assert text.count("To cite: ") == 2
    assert "change in points2025-09 minus 2025-04" in page.text
    n_shares = len(WORDS) + (mode == "single")
    assert whole.count('role="img"') == 4 + n_shares and "By month" in whole
    wrong = text.partition("Where it goes wrong")[2]
    mistaken = "technology mistaken for trade: 1 of" if mode == "single" else "technology missed: "
    assert mistaken in wrong and "≈" in wrong
    assert "worse by more than chance" in wrong


def test_all_that_count_mistakes_count_the_same(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(2)
    made = []
    for number in range(60):
        label = [*WORDS, "nothing"][number % 4]
        words = (paragraph(name, rng, 6) for name in rng.sample(list(WORDS), 2))
        text = " ".join(words) if label == "nothing" else paragraph(label, rng, 8)
        made.append((f"{text} {number}", label, f"article {number % 10}"))
    # Several topics, of which the second one is found.
    both = [(paragraph("trade", rng, 60), "security;trade", f"article {n}") for n in range(3)]
    wrong = [(paragraph("trade", rng, 60), "technology", f"article {n}") for n in range(3)]
    table = pd.DataFrame([*made, *both, *wrong], columns=["text", "label", "group"])
    write_csv(Path("table.csv"), table)
    start("single", ["baseline"], "table.csv")
    run_stages(*PIPELINE, "report")

    folder = Paths().model_reports / "baseline"
    rows = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
    assert list(rows)[4:8] == ["answer", "label", "right", "most_probable"]
    assert (rows["right"] == (rows["answer"] == rows["label"])).all()
    n, n_wrong = len(rows), int((~rows["right"]).sum())
    # None for a topic, a topic for none, and a forced topic would be right or wrong otherwise.
    assert {*rows["answer"][~rows["right"]], *rows["label"][~rows["right"]]} >= {""}
    assert (rows["most_probable"] != rows["label"]).sum() != n_wrong

    # The file of DVC's plot.
    pairs = pd.read_csv(folder / "confusion.csv", keep_default_na=False)
    assert pairs["count"].sum() == n
    assert pairs["count"][pairs["label"] != pairs["answer"]].sum() == n_wrong
    assert pairs["label"].unique().tolist() == [*WORDS, NONE]
    curve = pd.read_csv(folder / "risk.csv")
    assert curve["risk"].iloc[-1] == pytest.approx(n_wrong / n)
    assert Metrics.load(folder / "metrics.json").mistakes == n_wrong

    page = Page(Paths().page.read_text(encoding="utf-8")).text
    assert f"For {n_wrong} of {n} paragraphs" in page
    assert f"100%{n_wrong / n:.0%}" in page.partition("Share of wrong answers")[2].replace("\n", "")
    assert f"{n_wrong} of {n} answers wrong" in cli("errors")

    names: dict[str, Any] = {}
    notebook = read_json(ROOT / "examples" / "tour.ipynb", "")
    monkeypatch.chdir("reports")  # a folder below the root will do
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec("".join(cell["source"]), names)
    monkeypatch.chdir("..")
    assert len(names["mistakes"]) == n_wrong and "macro_f1" in names["metrics"].figures
    assert len(names["answers"]) == 3 and len(names["predictions"]) == n

    # Doubtful labels are the same ones, and none lacks a topic that it has.
    listed = cli("review")
    doubtful = page.partition("Labels worth a second look")[2]
    ids = [row for row in rows["id"] if row in "".join(listed.split())]
    assert ids and all(each in doubtful for each in ids)
    assert f"{len(ids)} of {n} hand labels doubtful" in listed
    assert f"{len(ids)} are doubtful" in doubtful
    assert "security + trade" not in doubtful
