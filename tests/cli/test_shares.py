"""`paratopic shares`: the tables of a project in, its findings out."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import passages_for, write_metadata
from paratopic.inference.modes import Calibration
from paratopic.project import files
from paratopic.project.files import UNLABELLED, Paths
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.results.project import Project
from tests.cli.test_codebook import edit_params
from tests.programs import ROOT, Cli
from tests.reports import compared
from tests.samples import (
    WORDS,
    examples,
    fit,
    paragraph,
    paragraph_table,
    write_labelled,
    write_params,
)

N, N_ARTICLES = 200, 40
NAMES = tuple(WORDS)


@pytest.fixture(scope="module")
def shares_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 200 paragraphs in 40 articles, in which security grew; 60 were drawn."""
    root, rng = tmp_path_factory.mktemp("shares"), random.Random(1)
    late = [rng.random() < 0.5 for _ in range(N_ARTICLES)] * (N // N_ARTICLES)
    chance = {False: (5, 4, 1), True: (2, 2, 6)}
    topics = [rng.choices(NAMES, chance[is_late])[0] for is_late in late]
    drawn = pd.Series(np.arange(N) < 60)
    frame = paragraph_table(
        text=[paragraph(name, rng) for name in topics],
        article=[f"a{n % N_ARTICLES}" for n in range(N)],
        label=[[name] if n < 60 else None for n, name in enumerate(topics)],
        label_source=drawn.map({True: "hand", False: "none"}),
        draw=drawn.map({True: "paragraph", False: ""}),
        weight=drawn.map({True: 1.0, False: np.nan}),
    )
    codebook = [{"name": name, "definition": f"About {name}."} for name in NAMES]
    write_params({"topics.codebook": codebook}, root / "params.yaml")
    (Paths(root).paragraphs.parent).mkdir()
    write_labelled(frame, root)
    about = pd.DataFrame({"id": frame["id"], "date": ["2025-09" if x else "2025-04" for x in late]})
    write_metadata(about.assign(source=["Post"] * N), Paths(root).metadata)
    hand = frame[frame["label_source"] == "hand"]
    hand = hand.assign(topic=hand["label"].map(tuple))
    codes = Topics("single", NAMES)
    model = fit("baseline", examples(hand, NAMES), codes, root)
    model.save(Paths(root).models / "baseline", Calibration())
    scores = pd.DataFrame(model.predict_proba(numbered(frame["text"])), columns=codes.score_columns)
    scores = frame[["id"]].assign(repeat=0, fold=0).join(scores)
    (Paths(root).scores / "baseline").mkdir(parents=True)
    scores[drawn].to_parquet(Paths(root).scores / "baseline" / "scores.parquet")
    scores[~drawn].to_parquet(Paths(root).scores / "baseline" / UNLABELLED)
    compared(champion="baseline").save(Paths(root).comparison)
    return root


@pytest.fixture
def project(shares_project: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that is the current directory, and that DVC takes to be up to date."""
    shutil.copytree(shares_project, here, dirs_exist_ok=True)
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")


pytestmark = pytest.mark.usefixtures("project")


def test_changes_are_printed_and_written(cli: Cli) -> None:
    printed = cli("shares", "--by", "month", "--out", "a.csv")
    (change,) = re.findall(r"minus 2025-04\s[^+]*security +(\+[0-9.]+) \(", printed)
    assert "To cite: " in printed
    assert "arXiv:2311.01453" in printed
    changes = pd.read_csv("a.csv").query("what != 'share'")
    assert {*changes["what"]} == {"difference"}
    assert {*changes["month"]} == {"2025-09 minus 2025-04"}
    security = changes.set_index("topic").loc["security"]
    assert float(change) == pytest.approx(100 * security["share"], abs=0.05)
    assert security["low"] < security["share"] < security["high"]


def test_shares_by_month_are_printed_and_written(cli: Cli) -> None:
    outs = [word for name in ("a.csv", "a.json", "a.png", "a.svg") for word in ("--out", name)]
    printed = cli("shares", "--by", "month", *outs)
    table = pd.read_csv("a.csv").query("what == 'share'")
    assert list(dict.fromkeys(table["month"])) == ["(all)", "2025-04", "2025-09"]
    written = [row["share"] for row in json.loads(Path("a.json").read_text())["shares"]]
    assert written == pytest.approx(list(table["share"]), abs=1e-6)
    security = table[table["topic"] == "security"].set_index("month")
    assert security["low"]["2025-09"] > security["share"]["2025-04"]
    for month, row in security.iterrows():
        assert f"{100 * row['share']:.0f} ({100 * row['low']:.0f}–" in printed, month
    assert Path("a.png").stat().st_size > 5000 and "security" in Path("a.svg").read_text()


def test_tables_for_papers_have_what_is_printed(cli: Cli) -> None:
    cli("shares", "--by", "month", "--out", "a.csv", "--out", "a.md", "--out", "a.tex")
    shares, changes = Path("a.md").read_text().split("\n\nChanges in percentage points")
    head, _, *rows = shares.split("\n\n")[1].splitlines()
    assert head == f"| month | {' | '.join(NAMES)} | none | labels |"
    table = pd.read_csv("a.csv").query("what == 'share'")
    for row, (month, lines) in zip(rows, table.groupby("month", sort=False), strict=True):
        cells = row.split(" | ")
        assert cells[0] == f"| {month}" and cells[1].startswith(
            f"{100 * lines['share'].iloc[0]:.0f} ("
        )
    assert "| topic | 2025-09 minus 2025-04 |" in changes
    latex = Path("a.tex").read_text().splitlines()
    assert latex[4] == r"\begin{tabular}{lrrrrr}" and latex.count(r"\end{tabular}") == 2
    assert latex[6].endswith(r"& labels \\") and latex.count(r"\end{minipage}") == 1


def test_the_unit_of_the_project_is_named_in_place_of_paragraphs(cli: Cli) -> None:
    edit_params("\nunit: paragraph", "\nunit: sentence")
    few = "--by", "month", "--out", "a.svg", "--out", "a.md", "--out", "a.json", "--out", "a.csv"
    written = cli("shares", *few) + Path("a.svg").read_text() + Path("a.md").read_text()
    written += json.loads(Path("a.json").read_text())["about"]
    assert "share of the sentences about" in written and "200 sentences" in written
    assert "Shares of the sentences" in written and "paragraph" not in written
    assert "paragraphs" in pd.read_csv("a.csv")  # names of columns stay


def test_names_and_topics_are_whole_on_a_narrow_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    fields = pd.read_parquet(Paths().metadata)
    name = "Dwight David Eisenhower"
    write_metadata(
        fields.assign(source=fields["source"].where(fields.index % 2 == 0, name)), Paths().metadata
    )
    narrow = cli("shares", "--by", "source").partition("To cite")[0]
    assert "…" not in narrow and all(topic in narrow for topic in NAMES)
    assert re.search(r"Dwight David +\d+ +\d+ +\d+ +\d+ +\d+", narrow)
    assert re.search(r"Eisenhower +\(<?\d+–\d+\)", narrow)
    monkeypatch.setenv("COLUMNS", "120")
    assert re.search(rf"{name} +\d+ \(<?\d+–\d+\)", cli("shares", "--by", "source"))


def test_the_next_step_draws_as_many_labels_as_narrower_intervals_take(cli: Cli) -> None:
    printed = cli("shares", "--by", "month")
    (n, half) = re.findall(r"of all groups, .*: about (\d+) for ± (\d+) points", printed)[0]
    step = "label --random{} --n {} +narrow all intervals to about ± {} points"
    assert re.search(step.format(" --by month", n, half), printed)
    (n, half) = re.findall(r"whole corpus, .*: about (\d+) for ± (\d+) points", printed)[0]
    assert re.search(step.format("", n, half), cli("shares"))


def leave_out_half_of_the_predictions() -> None:
    """Leave the folds' models with predictions for half of the texts."""
    path = Paths().scores / "baseline" / UNLABELLED
    pd.read_parquet(path)[::2].to_parquet(path)


def test_the_model_that_ships_predicts_what_models_of_the_folds_did_not(cli: Cli) -> None:
    """It is the same model here, so that nothing is to be corrected."""
    cli("shares", "--out", "a.csv")
    assert not Paths().predictions.exists()
    leave_out_half_of_the_predictions()
    cli("shares", "--out", "b.csv")
    assert Paths().predictions.exists()
    kept_shares = pd.read_csv("a.csv")["share"]
    new_shares = pd.read_csv("b.csv")["share"]
    assert kept_shares.tolist() == pytest.approx(new_shares.tolist(), abs=1e-5)


def test_predictions_are_kept_until_the_paragraphs_change(cli: Cli) -> None:
    leave_out_half_of_the_predictions()
    cli("shares")
    kept = Paths().predictions.read_bytes()
    Paths().predictions.touch()
    before = Paths().predictions.stat().st_mtime_ns
    cli("shares")
    assert Paths().predictions.stat().st_mtime_ns == before
    Paths().predictions.write_bytes(kept[:100])  # A damaged file is made again.
    cli("shares")
    assert Paths().predictions.read_bytes() == kept
    frame = read_labelled_paragraphs(Paths())
    write_labelled(frame.assign(text=frame["text"] + " Tariff."))
    cli("shares")
    assert Paths().predictions.read_bytes() != kept


def test_kept_predictions_are_not_taken_for_other_texts(cli: Cli) -> None:
    project, frame = Project(), read_labelled_paragraphs(Paths())
    for ids in (frame["id"][:2], frame["id"][1:3]):
        kept = project._probabilities("baseline", frame, ids)
        expected = project.load("baseline").predict_proba(passages_for(frame, ids))
        np.testing.assert_array_equal(kept, expected)


def test_shares_are_printed_where_nothing_can_be_written(
    cli: Cli, lock_up: Callable[[], None]
) -> None:
    leave_out_half_of_the_predictions()
    printed = cli("shares", "--by", "month")
    Paths().predictions.unlink()
    lock_up()
    assert cli("shares", "--by", "month") == printed and not Paths().predictions.exists()


@pytest.mark.parametrize("command", ["shares", "suggest"])
def test_nothing_is_written_over_files_of_the_project(cli: Cli, command: str) -> None:
    labels = Path("seeds/labels.csv")
    files.write_text(labels, "paragraph,topics\n")
    assert f"{labels}" in cli(command, "--out", labels, status=1)
    assert labels.read_text() == "paragraph,topics\n"


def test_tables_to_write_differ(cli: Cli) -> None:
    assert "--out names the same" in cli("shares", "--out", "a.csv", "--rows", "a.csv", status=1)
    assert "is there twice" in cli("shares", "--by", "month", "--by", "month", status=1)
    words = ["--by", "month", "--compare", "2025-04", "2025-04"]
    assert "two different values" in cli("shares", *words, status=1)


def test_nothing_is_predicted_for_labels_that_are_no_sample(cli: Cli) -> None:
    write_labelled(
        read_labelled_paragraphs(Paths()).assign(draw="", weight=np.nan, effective_count=np.nan)
    )
    printed = cli("shares", status=1)
    assert "random sample" in printed
    assert not Paths().predictions.exists()


def test_rows_to_regress_have_metadata_and_the_shares_as_means(cli: Cli) -> None:
    cli("shares", "--rows", "rows.csv", "--out", "a.csv")
    rows, shares = pd.read_csv("rows.csv"), pd.read_csv("a.csv").set_index("topic")["share"]
    names = ["id", "row", "article", "title", "heading", "position", "date", "source", "labelled"]
    assert list(rows)[:9] == names and "text" not in rows
    assert len(rows) == len(read_labelled_paragraphs(Paths())) and rows["labelled"].sum() == 60
    outcomes = rows.filter(like="topic_").rename(columns=lambda name: name[len("topic_") :])
    assert list(outcomes) == list(WORDS)  # No paragraph has none of the topics.
    assert outcomes.mean().tolist() == pytest.approx(shares[list(WORDS)].tolist(), abs=1e-4)
    beyond = (outcomes - outcomes.clip(0, 1)).abs().groupby(rows["labelled"]).max().max(axis=1)
    assert beyond[True] > 2 * beyond[False]
    for words in (["rows.xlsx"], ["rows.csv", "--of", "words"]):
        assert "paragraphs or articles" in cli("shares", "--rows", *words, status=1)
    cli("shares", "--rows", "rows.csv", "--texts")
    with_texts, texts = pd.read_csv("rows.csv"), read_labelled_paragraphs(Paths())["text"]
    assert with_texts["text"].tolist() == texts.tolist()
    assert "--rows" in cli("shares", "--texts", status=1)
    Path("folder.csv").mkdir()
    assert "folder.csv: Is a directory" in cli("shares", "--rows", "folder.csv", status=1)


def test_the_regression_of_the_documentation_runs(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    cli("shares", "--rows", "rows.csv")
    page = (ROOT / "docs/findings.md").read_text(encoding="utf-8")
    exec(page.partition("In Python:\n\n```text\n")[2].partition("```")[0], {})
    printed = capsys.readouterr().out
    assert re.search(r"Covariance Type: +cluster", printed) and re.search(r"\nyear +\S", printed)


def test_shares_and_rows_to_regress_can_be_of_articles(cli: Cli) -> None:
    frame = read_labelled_paragraphs(Paths())
    drawn = frame["article"].isin([f"a{n}" for n in range(25)])
    topics = pd.Series([["trade"] if is_drawn else None for is_drawn in drawn])
    source = np.where(drawn, "hand", "none")
    frame = frame.assign(label=topics, label_source=source, weight=1.0, effective_count=1.0)
    write_labelled(frame.assign(draw=np.where(drawn, "article", "")))
    printed = " ".join(cli("shares", "--of", "articles", "--rows", "rows.csv").split())
    assert "Shares of the articles, 95% intervals" in printed and "of the whole corpus" in printed
    rows = pd.read_csv("rows.csv")
    assert rows["article"].is_unique and rows["labelled"].sum() == 25


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "weight"], "article, title, heading, date, source, decade, year, month"),
        (["--by", "month", "--by", "year", "--by", "date"], "two columns"),
        (["--of", "articles"], "0 articles drawn at random"),
        (["--compare", "2025-04", "2025-09"], "--compare needs --by"),
        (["--by", "month", "--compare", "May", "2025-09"], "--compare May"),
        (["--by", "topic"], "--by topic"),
        (["--out", "a.pdf"], "--out a.pdf: name a file that ends in .csv, .json, .md, .tex, .png"),
        (["--out", "params.yaml/a.csv"], "params.yaml: File exists"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, cli: Cli) -> None:
    printed = cli("shares", *words, status=1)
    assert message in printed and "Traceback" not in printed


def test_shares_rest_on_labels_alone_where_articles_were_not_held_out(cli: Cli) -> None:
    path = Paths().scores / "baseline" / UNLABELLED
    pd.read_parquet(path)[:0].to_parquet(path)
    printed = cli("shares", "--by", "month", "--out", "a.csv", "--rows", "rows.csv")
    assert "labels drawn at random alone" in printed
    labels = read_labelled_paragraphs(Paths()).query("label_source == 'hand'")["label"]
    table = pd.read_csv("a.csv").query("month == '(all)'").set_index("topic")["share"]
    for name in NAMES:
        share = labels.map(lambda names, n=name: n in names).mean()
        assert table[name] == pytest.approx(share, abs=1e-6)
    # A group without a label has no share.
    fields = pd.read_parquet(Paths().metadata)
    ids = read_labelled_paragraphs(Paths()).query("label_source == 'none'")["id"][:10]
    write_metadata(
        fields.assign(source=fields["source"].mask(fields["id"].isin(ids), "Times")),
        Paths().metadata,
    )
    printed = cli("shares", "--by", "source")
    assert re.search(r"Times +– +– +– +– +0 of 10", printed)
    assert "Missing: Times: 10." in printed


def test_intervals_for_further_articles_are_wider(cli: Cli) -> None:
    words = ["shares", "--by", "month"]
    these = cli(*words, "--out", "a.csv")
    further = cli(*words, "--new-articles", "--out", "b.csv")
    assert "these texts alone (200 paragraphs in 40 articles)" in these
    assert "further articles" in further
    finite = pd.read_csv("a.csv")
    superpopulation = pd.read_csv("b.csv")
    assert finite["share"].tolist() == superpopulation["share"].tolist()
    widths = superpopulation["high"] - superpopulation["low"]
    assert widths.mean() > (finite["high"] - finite["low"]).mean()


def with_column(name: str, values: Sequence[Any]) -> None:
    column = pd.Series(list(values), dtype=object)
    write_metadata(pd.read_parquet(Paths().metadata).assign(**{name: column}), Paths().metadata)


def test_predictions_of_a_table_take_the_place_of_the_models(cli: Cli) -> None:
    shutil.rmtree(Paths().models)  # No model is needed.
    Paths().comparison.unlink()
    shutil.rmtree(Paths().scores)
    n = len(read_labelled_paragraphs(Paths()))
    with_column("gpt", [NAMES[number % 3] if number % 4 else "none" for number in range(n)])
    printed = cli("shares", "--predictor", "gpt", "--out", "a.csv")
    assert "the predictions in gpt" in printed
    for name in NAMES:  # The probabilities are 0 and 1.
        gpt = pd.read_parquet(Paths().metadata)["gpt"]
        with_column(f"p_{name}", (gpt == name).astype(int).astype(str).tolist())
    columns = [word for name in NAMES for word in ("--predictor", f"p_{name}")]
    cli("shares", *columns, "--out", "b.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    with_column("p_trade", ["2"] * n)
    assert "probabilities are numbers from 0 to 1" in cli("shares", *columns, status=1)
    with_column("gpt", [None, *["weather"] * (n - 1)])
    assert "000: no prediction. Write none" in cli("shares", "--predictor", "gpt", status=1)
    with_column("gpt", ["weather"] * n)
    printed = cli("shares", "--predictor", "gpt", status=1)
    assert '--predictor gpt, 000: unknown topic "weather"' in printed
    assert "there is no such column" in cli("shares", "--predictor", "llm", status=1)
    assert "or 3 columns with the probabilities" in cli("shares", *columns[:4], status=1)
