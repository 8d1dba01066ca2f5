"""Stage report: the page in both modes, and its counts, which all files and commands share."""

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
from paratopic.project.topics import NO_TOPIC_SHORT, ModeName
from tests.programs import ROOT, Cli, run_stages
from tests.samples import WORDS, paragraph, write_params

MODEL_STAGES = ("fit", "calibrate", "evaluate", "train", "package")
PIPELINE = ["installed", "prepare", "split", *(f"{s} baseline" for s in MODEL_STAGES), "compare"]
LOADS = ("src", "srcset", "data", "href", "xlink:href", "action", "poster")
EVIL = '<script src="https://example.org/x.js"></script><b onclick="x">'


class Page(HTMLParser):
    """The addresses that a page would load, its tags, its ids and its text."""

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
    """A project's folder, up to date as if by DVC, and no browser."""
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    monkeypatch.setattr("webbrowser.open", lambda url: True)


def written() -> str:
    run_stages("report")
    return Paths().page.read_text(encoding="utf-8")


def on_request(cli: Cli) -> str:
    cli("report", "--open")
    return Paths().full_page.read_text(encoding="utf-8")


def mixed_table(mode: ModeName) -> pd.DataFrame:
    """Drawn paragraphs of eight articles with and without topics, two of them without a label."""
    rng = random.Random(5)
    rows = []
    for number in range(40):
        n_topics = 0 if number % 4 == 2 else 1
        names = rng.sample(list(WORDS), n_topics)
        if mode == "multi" and number % 5 == 0:
            names = ["trade", "security"]
        words = " ".join(paragraph(name, rng) for name in names)
        text = f"{EVIL} {words or 'It rained and then the sun came.'} {number}"
        rows.append((text, ";".join(names) or "nothing", f"article {number % 8}"))
    # The words of this paragraph contradict its label.
    rows.append((f"{paragraph('trade', rng, 60)}", "technology", "article 1"))
    # Without these paragraphs, shares would be counts because all paragraphs have a label.
    rows += [(paragraph("trade", rng), "", article) for article in ("article 0", "article 7")]
    table = pd.DataFrame(rows, columns=["text", "label", "group"]).assign(drawn="1")
    dates = table["group"].map(lambda name: "2025-04" if name < "article 4" else "2025-09")
    return table.assign(date=dates)


def run_with_a_copy_of_the_baseline() -> None:
    """Run stages with the baseline, and with a second model with its scores and no history."""
    run_stages("installed", "prepare", "split", "fit baseline", "calibrate baseline")
    shutil.copytree(Paths().scores / "baseline", Paths().scores / "transformer")
    history = pd.DataFrame(columns=["repeat", "fold", "step", "loss"])
    (Paths().raw_scores / "transformer").mkdir()
    write_csv(Paths().raw_scores / "transformer" / HISTORY, history)
    run_stages("evaluate baseline", "evaluate transformer", "train baseline", "compare")
    reports = Paths().model_reports
    write_csv(reports / "transformer" / "final.csv", history[["step", "loss"]])
    shutil.copy(reports / "baseline" / FINAL, reports / "transformer")


def assert_nothing_is_loaded(html: str) -> None:
    page = Page(html)
    assert page.loads == ["data:,"]
    assert not {"script", "iframe", "img", "object", "embed"} & page.tags
    assert len(page.ids) == len(set(page.ids))
    assert EVIL in page.text


# Reliability of both models, risk and, where C is chosen, loss of the baseline.
N_FIGURES = {"single": 4, "multi": 3}


def assert_sections_and_figures(html: str, mode: ModeName) -> None:
    sections = re.findall(r'<section id="(\w+)"', html)
    assert re.findall(r'(?m)^<a href="#(\w+)"', html) == sections and len(sections) == 11
    for heading in (
        *("What was labelled", "The models", "Which model is the champion, and why"),
        "Topic by topic",
        *("Can the probabilities be trusted?", "Fewer answers, fewer mistakes", "Training"),
        *("Where it goes wrong", "Labels worth a second look"),
    ):
        assert f"<h2>{heading}</h2>" in html
    assert html.count('role="img"') == N_FIGURES[mode]
    assert ("C is the middle one of baseline.strengths" in html) == (mode == "multi")
    assert "transformer: no curve" in html and "The encoder is used as it is" in html
    assert ("macro-F1 of answers" in html) == (mode == "single")
    assert ("mean average precision" in html) == (mode == "multi")
    assert "How much is about what" not in html and "≈" not in html


def assert_the_wrong_label_is_doubtful(html: str) -> None:
    doubtful = html.partition("Labels worth a second look")[2]
    assert "the models" in doubtful
    assert "doubtful." in doubtful and "paratopic review" in doubtful
    assert "<td>technology</td><td>trade " in doubtful


def assert_the_lead_is_described() -> None:
    """The summary names a lead over the dummy only if it is not significant."""
    comparison = Comparison.load(Paths().comparison)
    pair = f"{comparison.champion} - dummy"
    for significant in (True, False):
        lead = replace(comparison.differences[pair], value=0.1, significant=significant)
        changed = comparison.differences | {pair: lead}
        comparison.model_copy(update={"differences": changed}).save(Paths().comparison)
        summary = Page(written().partition("</section>")[0]).text
        assert ("not significantly better than a dummy that always" in summary) != significant


def assert_shares_and_errors(html: str, mode: ModeName) -> None:
    """Sections of the full page, for which the champion is loaded."""
    page = Page(html)
    text = " ".join(page.text.split())
    assert "41 labels drawn at random" in text and "arXiv:2311.01453" in text
    assert text.count("To cite: ") == 2
    assert "change in points2025-09 minus 2025-04" in page.text
    n_shares = len(WORDS) + (mode == "single")
    assert html.count('role="img"') == N_FIGURES[mode] + n_shares and "By month" in html
    errors = text.partition("Where it goes wrong")[2]
    mistaken = "technology mistaken for trade: 1 of" if mode == "single" else "technology missed: "
    assert mistaken in errors and "≈" in errors
    assert "worse by more than chance" in errors


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_a_page_that_asks_no_network_and_runs_nothing(mode: ModeName, cli: Cli) -> None:
    write_csv(Path("table.csv"), mixed_table(mode))
    start(mode, ["baseline", "transformer"], "table.csv")
    run_with_a_copy_of_the_baseline()
    html = written()
    assert written() == html and len(html.encode()) < 150_000
    assert "default-src 'none'" in html
    assert_nothing_is_loaded(html)
    assert_sections_and_figures(html, mode)
    assert_the_wrong_label_is_doubtful(html)
    assert_the_lead_is_described()

    full_page = on_request(cli)
    assert full_page == on_request(cli)
    assert_nothing_is_loaded(full_page)
    assert_shares_and_errors(full_page, mode)


def table_with_errors() -> pd.DataFrame:
    """Paragraphs of ten articles, some with several topics and some with a wrong label."""
    rng = random.Random(2)
    labels = [*WORDS, "nothing"]
    rows = []
    for number in range(60):
        label = labels[number % 4]
        names = rng.sample(list(WORDS), 2)
        if label == "nothing":
            text = " ".join(paragraph(name, rng, 6) for name in names)
        else:
            text = paragraph(label, rng, 8)
        rows.append((f"{text} {number}", label, f"article {number % 10}"))
    # The second of several topics is predicted.
    rows += [(paragraph("trade", rng, 60), "security;trade", f"article {n}") for n in range(3)]
    rows += [(paragraph("trade", rng, 60), "technology", f"article {n}") for n in range(3)]
    return pd.DataFrame(rows, columns=["text", "label", "group"])


def checked_predictions(folder: Path) -> pd.DataFrame:
    """The table of predictions, with errors that another definition of errors would not count."""
    rows = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
    assert list(rows)[4:8] == ["answer", "label", "right", "most_probable"]
    assert (rows["right"] == (rows["answer"] == rows["label"])).all()
    # Errors include no topic instead of a topic or the reverse, and differ from forced topics.
    assert {*rows["answer"][~rows["right"]], *rows["label"][~rows["right"]]} >= {""}
    assert (rows["most_probable"] != rows["label"]).sum() != (~rows["right"]).sum()
    return rows


def assert_plots_count(folder: Path, n_wrong: int, n: int) -> None:
    """The files of DVC's plots."""
    pairs = pd.read_csv(folder / "confusion.csv", keep_default_na=False)
    assert pairs["count"].sum() == n
    assert pairs["count"][pairs["label"] != pairs["answer"]].sum() == n_wrong
    assert pairs["label"].unique().tolist() == [*WORDS, NO_TOPIC_SHORT]
    curve = pd.read_csv(folder / "risk.csv")
    assert curve["risk"].iloc[-1] == pytest.approx(n_wrong / n)


def notebook_names(path: Path) -> dict[str, Any]:
    """The names that the code cells of a notebook define; the notebook has no output."""
    names: dict[str, Any] = {}
    for cell in read_json(path, "")["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec("".join(cell["source"]), names)
    return names


def assert_doubtful_labels_are_listed(page: str, listed: str, rows: pd.DataFrame) -> None:
    """The page and the command list the same labels, without right labels of several topics."""
    doubtful = page.partition("Labels worth a second look")[2]
    ids = [id_ for id_ in rows["id"] if id_ in "".join(listed.split())]
    assert ids and all(id_ in doubtful for id_ in ids)
    assert f"{len(ids)} of {len(rows)} hand labels doubtful" in listed
    assert f"{len(ids)} are doubtful" in doubtful
    assert "security + trade" not in doubtful


def test_all_that_count_mistakes_count_the_same(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(Path("table.csv"), table_with_errors())
    start("single", ["baseline"], "table.csv")
    run_stages(*PIPELINE, "report")

    folder = Paths().model_reports / "baseline"
    rows = checked_predictions(folder)
    n, n_wrong = len(rows), int((~rows["right"]).sum())
    assert_plots_count(folder, n_wrong, n)
    assert Metrics.load(folder / "metrics.json").mistakes == n_wrong

    page = Page(Paths().page.read_text(encoding="utf-8")).text
    assert f"For {n_wrong} of {n} paragraphs" in page
    assert f"100%{n_wrong / n:.0%}" in page.partition("Share of wrong answers")[2].replace("\n", "")
    assert f"{n_wrong} of {n} answers wrong" in cli("errors")

    monkeypatch.chdir("reports")  # the notebook runs in any folder of the project
    names = notebook_names(ROOT / "examples" / "tour.ipynb")
    monkeypatch.chdir("..")
    assert len(names["mistakes"]) == n_wrong and "macro_f1" in names["metrics"].figures
    assert len(names["answers"]) == 3 and len(names["predictions"]) == n

    assert_doubtful_labels_are_listed(page, cli("review"), rows)
