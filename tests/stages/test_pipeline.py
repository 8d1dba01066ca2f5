"""The real pipeline from end to end, on the real seed, with a tiny encoder."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic.inference.modes import NEVER
from paratopic.project.files import Paths
from paratopic.project.kinds import KINDS
from paratopic.project.reports import last_fit_time, read_times
from tests.programs import Cli, logged, run_stages, runs, sh
from tests.samples import WORDS, paragraph, write_params
from tests.stages.test_report import Page


def read_report(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_comparison_of_the_seed(project: Path) -> None:
    comparison = read_report(project / "reports/comparison.json")
    assert set(comparison["models"]) == {"dummy", "baseline", "transformer"}
    assert comparison["n"] == 25
    assert (comparison["n_folds"], comparison["n_repeats"]) == (4, 2)
    assert comparison["split_unit"] == "paragraph"
    # Folds divide the article, so models that were fitted only to definitions decide.
    assert list(comparison["leads"]) == ["transformer - baseline"]
    assert comparison["leads"] != comparison["differences"]
    is_leading = comparison["leads"]["transformer - baseline"]["value"] > 0.02
    assert comparison["champion"] == ("transformer" if is_leading else "baseline")
    assert comparison["reason"].startswith("with the definitions and no labels")
    assert (project / "reports/comparison.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["baseline", "transformer"])
def test_metrics_of_the_seed(project: Path, name: str) -> None:
    metrics = read_report(project / "reports/models" / name / "metrics.json")
    comparison = read_report(project / "reports/comparison.json")
    assert metrics["macro_f1"]["low"] <= metrics["macro_f1"]["value"]
    assert metrics["macro_f1"] == comparison["models"][name]["macro_f1"]
    assert metrics["split_unit"] == "paragraph"
    assert any("one article" in note for note in metrics["notes"])
    assert metrics["topics"]["trade"]["support"] == 8
    assert 0 <= metrics["coverage"]["value"] <= 1
    # With 25 paragraphs, no threshold can promise the precision of sure predictions.
    sure = {"threshold": None, "target": 0.9, "share": 0, "precision": None}
    assert metrics["abstention"]["sure"] == sure | {"groups_needed": 44, "groups": 21}


@pytest.mark.parametrize("name", ["baseline", "transformer"])
def test_models_of_the_seed(project: Path, name: str) -> None:
    folder = project / "reports/models" / name
    macro_f1 = read_report(folder / "metrics.json")["macro_f1"]["value"]
    calibration = read_report(project / "models" / name / "paratopic.json")["calibration"]
    thresholds = calibration["thresholds"]
    assert len(thresholds) == 4 and calibration["sure"] == NEVER
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert f"| macro-F1, forced choice | {macro_f1:.3f} |" in card
    threshold = thresholds[0] / (1 + thresholds[0])
    assert f"| trade | 8 | {threshold:.0%} | Commerce" in card
    note = (project / "models" / name / "README.md").read_text(encoding="utf-8")
    assert "trade, technology" in note and "macro-F1" not in note
    final = read_report(folder / "final.json")
    assert (final["n_labelled"], final["n_unlabelled"]) == (25, 0)
    parity = final["parity"]
    assert (parity["gap"] <= 0.005) if name == "transformer" else parity == {}
    table = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
    assert len(table) == 25 and (table["label"] == "").sum() == 4


def test_headings_of_the_seed_are_right(project: Path) -> None:
    rows = read_report(project / "reports/prepare.json")["weak"]
    headings = [row for row in rows if row["source"] == "headings"]
    assert sum(row["compared"] for row in headings) == 12
    assert all(row["right"] == row["compared"] for row in headings)


def test_repeating_changes_nothing_and_adds_no_run(project: Path) -> None:
    before = runs(project)
    assert sorted(name.partition(" ")[0] for name in before) == ["baseline", "transformer"]
    output = sh(project, "dvc", "repro")
    assert "MLflow is up to date" in output
    assert output.count("Running stage") == 3, output  # installed, prepare and track always run
    assert runs(project) == before
    assert sh(project, "git", "status", "--porcelain") == ""


def test_forcing_stages_leaves_the_lock_as_it_was(project: Path) -> None:
    """Fits of the transformer are compared byte by byte elsewhere (`tests.inference`)."""
    lock = (project / "dvc.lock").read_bytes()
    report_stages = [f"{stage}@{name}" for stage in ("evaluate", "card") for name in KINDS]
    stages = [
        "prepare",
        "split",
        "fit@baseline",
        "calibrate@baseline",
        "train@baseline",
        *report_stages,
        "compare",
    ]
    output = sh(project, "dvc", "repro", "--force", "--single-item", *stages, "report", "track")
    assert output.count("Running stage") == len(stages) + 2
    assert "MLflow is up to date" in output  # the models are the same
    assert (project / "dvc.lock").read_bytes() == lock


@pytest.fixture
def begin(project: Path, here: Path) -> Callable[[dict[str, Any]], None]:
    """Begin another project in the current directory, with other settings: dotted key → value."""

    def copy(settings: dict[str, Any]) -> None:
        for name in ("dvc.yaml", "dvc.lock", "seeds"):
            path = project / name
            shutil.copytree(path, name) if path.is_dir() else shutil.copy(path, name)
        write_params(settings, source=project / "params.yaml")

    return copy


def stages_until_compare(*names: str) -> list[str]:
    """The stages of the pipeline for some models, without report and track."""
    stages = ("fit", "calibrate", "evaluate", "train", "package", "card")
    model_stages = (f"{stage} {name}" for stage in stages for name in names)
    return ["installed", "prepare", "split", *model_stages, "compare"]


def test_a_labelled_table_with_other_topics_and_one_model(
    begin: Callable[[dict[str, Any]], None], cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(1)
    rows = [(paragraph(name, rng), name.title(), n % 20) for n in range(40) for name in WORDS]
    rows += [("It rained all day.", "Other", 3)]
    frame = pd.DataFrame(rows, columns=["text", "label", "group"])
    frame.to_csv("table.csv", index=False)
    begin(
        {
            "prepare.sources": ["table.csv"],
            "prepare.no_topic": ["Other"],
            "topics.codebook": [name.title() for name in WORDS],
            "models": ["baseline"],
            "split.holdout": 0.25,
        }
    )
    run_stages(*stages_until_compare("baseline"), "report", "track")
    (run,) = logged(Path.cwd())
    assert str(run.info.run_name).startswith("baseline ")
    seconds = read_times(Paths().times)["train@baseline"].seconds
    assert run.info.end_time - run.info.start_time == int(1000 * seconds)
    comparison = json.loads(Paths().comparison.read_text())
    assert set(comparison["models"]) == {"dummy", "baseline"}
    assert comparison["champion"] == "baseline"
    assert comparison["split_unit"] == "article"
    assert comparison["leads"] == {
        "baseline - dummy": comparison["differences"]["baseline - dummy"]
    }
    assert not (Paths().scores / "baseline/definitions.parquet").exists()  # topics have none
    macro_f1 = comparison["models"]["baseline"]["macro_f1"]["value"]
    assert macro_f1 > 0.8
    output = cli("predict", "--json", "seeds/us-china-talks-madrid-2025-09-15.txt")
    assert set(json.loads(output.out.splitlines()[0])["scores"]) == {n.title() for n in WORDS}
    assert_a_random_sample_has_the_same_macro_f1(frame, macro_f1)
    frame[1:].assign(drawn=1).to_csv("table.csv", index=False)
    assert_the_last_time_is_reported(cli, capsys)


def assert_a_random_sample_has_the_same_macro_f1(frame: pd.DataFrame, macro_f1: float) -> None:
    """Rows that are a random sample are calibrated and measured again."""
    frame.assign(drawn=1).to_csv("table.csv", index=False)
    run_stages("prepare", "calibrate baseline", "evaluate baseline", "compare")
    weighed = json.loads(Paths().comparison.read_text())["models"]["baseline"]["macro_f1"]["value"]
    assert weighed == pytest.approx(macro_f1)


def assert_the_last_time_is_reported(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    time = last_fit_time(Paths().times, "baseline")  # on a busy machine, more than 0 s
    assert time.endswith(" s for 121 labelled texts")
    assert f"(last time, measuring took: baseline {time};" in cli("status")
    capsys.readouterr()
    run_stages("prepare", "split", "fit baseline")
    printed = capsys.readouterr().out
    assert f"on 120 labelled texts; last time, it took {time}\n" in printed


def test_before_anyone_has_labelled_the_descriptions_predict(
    begin: Callable[[dict[str, Any]], None], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("plain.txt").write_text("The tariff on goods rose.\n\nThe navy left the port.\n", "utf-8")
    begin({"prepare.sources": ["plain.txt"], "prepare.labels": None, "unit": "entry"})
    run_stages(*stages_until_compare("baseline", "transformer"), "report", "track")
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    cli("report", "--open")
    assert_the_page_has_no_figures()
    comparison = read_report(Paths().comparison)
    assert (comparison["n"], comparison["champion"]) == (0, "transformer")
    assert_runs_have_settings_of_their_own_model()
    printed = cli("predict", "--json", "plain.txt").out
    predictions = [json.loads(line) for line in printed.splitlines()]
    assert len(predictions) == 2
    for prediction in predictions:
        assert_the_topic_has_the_highest_score(prediction)
    calibration = read_report(Paths().models / "transformer/paratopic.json")["calibration"]
    assert calibration["thresholds"] == [1.0] * 4
    assert calibration["sure"] == NEVER  # definitions are no evidence for sure predictions
    card = (Paths().model_reports / "transformer/card.md").read_text(encoding="utf-8")
    assert "Nothing was measured" in card
    assert "nothing is measured" in " ".join(cli("report").split())


def assert_the_page_has_no_figures() -> None:
    page = Page(Paths().page.read_text(encoding="utf-8"))
    assert "Nothing was measured" in page.text and "2 entries from 1 article" in page.text
    assert "paragraph" not in page.text.lower()
    assert "The models" not in page.text and "goes wrong" not in page.text
    full_page = Paths().full_page.read_text(encoding="utf-8")
    assert "<code>paratopic label --random --n 60</code>" in full_page


def assert_runs_have_settings_of_their_own_model() -> None:
    models = [run.data.params for run in logged(Path.cwd())]
    assert sorted(params["algorithm"] for params in models) == ["baseline", "transformer"]
    for params in models:
        sections = {key.partition(".")[0] for key in params}
        assert sections == {"algorithm", "seed", params["algorithm"]}


def assert_the_topic_has_the_highest_score(prediction: dict[str, Any]) -> None:
    topic, confidence = max(prediction["scores"].items(), key=lambda item: item[1])
    no_topic = 1 - sum(prediction["scores"].values())
    assert prediction["topic"] == (topic if confidence >= no_topic else None)
    assert 0 < sum(prediction["scores"].values()) < 1


def test_a_wrong_label_stops_the_pipeline(project: Path) -> None:
    labels = project / "seeds/labels.csv"
    before = labels.read_text(encoding="utf-8")
    labels.write_text(before.replace(',security,"Beyond', ',securty,"Beyond'), encoding="utf-8")
    output = sh(project, "dvc", "repro", fails=True)
    labels.write_text(before, encoding="utf-8")
    # Earlier results stay as they were.
    assert (project / "data/paragraphs.parquet").exists()
    assert sh(project, "git", "status", "--porcelain") == ""
    assert 'line 14: unknown topic "securty"' in output
