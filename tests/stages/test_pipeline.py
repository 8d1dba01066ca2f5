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
from paratopic.project.reports import last_time, read_times
from tests.programs import Cli, logged, run_stages, runs, sh
from tests.samples import WORDS, paragraph, write_params
from tests.stages.test_report import Page


def test_reports_of_the_seed(project: Path) -> None:
    comparison = json.loads((project / "reports/comparison.json").read_text())
    assert set(comparison["models"]) == {"dummy", "baseline", "transformer"}
    assert comparison["n"] == 25
    assert (comparison["n_folds"], comparison["n_repeats"]) == (4, 2)
    assert comparison["split_unit"] == "paragraph"
    for name in ("baseline", "transformer"):
        folder = project / "reports/models" / name
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["macro_f1"]["low"] <= metrics["macro_f1"]["value"]
        assert metrics["macro_f1"] == comparison["models"][name]["macro_f1"]
        assert metrics["split_unit"] == "paragraph"
        assert any("one article" in note for note in metrics["notes"])
        assert metrics["topics"]["trade"]["support"] == 8
        assert 0 <= metrics["coverage"]["value"] <= 1
        # 25 paragraphs are too few to promise anything of sure predictions.
        sure = {"threshold": None, "target": 0.9, "share": 0, "precision": None}
        assert metrics["abstention"]["sure"] == sure | {"groups_needed": 44, "groups": 21}
        manifest = json.loads((project / "models" / name / "paratopic.json").read_text())
        thresholds = manifest["calibration"]["thresholds"]
        assert len(thresholds) == 4 and manifest["calibration"]["sure"] == NEVER
        card = (folder / "card.md").read_text(encoding="utf-8")
        assert f"| macro-F1, forced choice | {metrics['macro_f1']['value']:.3f} |" in card
        named_from = thresholds[0] / (1 + thresholds[0])
        assert f"| trade | 8 | {named_from:.0%} | Commerce" in card
        note = (project / "models" / name / "README.md").read_text(encoding="utf-8")
        assert "trade, technology" in note and "macro-F1" not in note
        final = json.loads((folder / "final.json").read_text())
        assert (final["n_labelled"], final["n_unlabelled"]) == (25, 0)
        parity = final["parity"]
        assert (parity["gap"] <= 0.005) if name == "transformer" else parity == {}
        table = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
        assert len(table) == 25 and (table["label"] == "").sum() == 4
    assert (project / "reports/comparison.png").read_bytes().startswith(b"\x89PNG")
    # Paragraphs of one article are in several folds: models that know the definitions alone decide.
    assert list(comparison["leads"]) == ["transformer - baseline"]
    assert comparison["leads"] != comparison["differences"]
    leads = comparison["leads"]["transformer - baseline"]["value"] > 0.02
    assert comparison["champion"] == ("transformer" if leads else "baseline")
    assert comparison["reason"].startswith("with the definitions and no labels")
    prepared = json.loads((project / "reports/prepare.json").read_text())
    of_headings = [row for row in prepared["weak"] if row["source"] == "headings"]
    assert sum(row["compared"] for row in of_headings) == 12
    assert all(row["right"] == row["compared"] for row in of_headings)


def test_repeating_changes_nothing_and_adds_no_run(project: Path) -> None:
    before = runs(project)
    assert sorted(name.partition(" ")[0] for name in before) == ["baseline", "transformer"]
    said = sh(project, "dvc", "repro")
    assert "MLflow is up to date" in said
    assert said.count("Running stage") == 3, said  # installed, prepare and track, which always look
    assert runs(project) == before
    assert sh(project, "git", "status", "--porcelain") == ""


def test_forcing_stages_leaves_the_lock_as_it_was(project: Path) -> None:
    """Fits of the transformer are compared byte by byte elsewhere (`tests.inference`)."""
    lock = (project / "dvc.lock").read_bytes()
    of_models = [f"{stage}@{name}" for stage in ("evaluate", "card") for name in KINDS]
    stages = [
        "prepare",
        "split",
        "fit@baseline",
        "calibrate@baseline",
        "train@baseline",
        *of_models,
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
            whole = project / name
            shutil.copytree(whole, name) if whole.is_dir() else shutil.copy(whole, name)
        write_params(settings, source=project / "params.yaml")

    return copy


def of_models(*names: str) -> list[str]:
    """The stages of the pipeline for some models, but for the last two."""
    stages = ("fit", "calibrate", "evaluate", "train", "package", "card")
    each = (f"{stage} {name}" for stage in stages for name in names)
    return ["installed", "prepare", "split", *each, "compare"]


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
    run_stages(*of_models("baseline"), "report", "track")
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
    said = cli("predict", "--json", "seeds/us-china-talks-madrid-2025-09-15.txt")
    assert set(json.loads(said.out.splitlines()[0])["scores"]) == {n.title() for n in WORDS}
    # That the rows are a random sample calibrates and measures anew.
    frame.assign(drawn=1).to_csv("table.csv", index=False)
    run_stages("prepare", "calibrate baseline", "evaluate baseline", "compare")
    weighed = json.loads(Paths().comparison.read_text())["models"]["baseline"]["macro_f1"]["value"]
    assert weighed == pytest.approx(macro_f1)
    frame[1:].assign(drawn=1).to_csv("table.csv", index=False)
    time = last_time(Paths().times, "baseline")  # on a busy machine, more than 0 s
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
    run_stages(*of_models("baseline", "transformer"), "report", "track")
    page = Page(Paths().page.read_text(encoding="utf-8"))
    assert "Nothing was measured" in page.text and "2 entries from 1 article" in page.text
    assert "paragraph" not in page.text.lower()
    assert "The models" not in page.text and "goes wrong" not in page.text
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    cli("report", "--open")
    assert "<code>paratopic label --random --n 60</code>" in Paths().whole_page.read_text(
        encoding="utf-8"
    )
    comparison = json.loads(Paths().comparison.read_text())
    assert (comparison["n"], comparison["champion"]) == (0, "transformer")
    # Each has the settings of its own model alone.
    models = [run.data.params for run in logged(Path.cwd())]
    assert sorted(params["algorithm"] for params in models) == ["baseline", "transformer"]
    for params in models:
        sections = {key.partition(".")[0] for key in params}
        assert sections == {"algorithm", "seed", params["algorithm"]}
    answers = [json.loads(line) for line in cli("predict", "--json", "plain.txt").out.splitlines()]
    assert len(answers) == 2
    for answer in answers:
        most, confidence = max(answer["scores"].items(), key=lambda item: item[1])
        none = 1 - sum(answer["scores"].values())
        assert answer["topic"] == (most if confidence >= none else None)
        # The definitions alone say how likely it has a topic, and none is called sure.
        assert 0 < sum(answer["scores"].values()) < 1
    manifest = json.loads((Paths().models / "transformer/paratopic.json").read_text())
    assert manifest["calibration"]["thresholds"] == [1.0] * 4
    assert manifest["calibration"]["sure"] == NEVER
    card = (Paths().model_reports / "transformer/card.md").read_text(encoding="utf-8")
    assert "Nothing was measured" in card
    assert "nothing is measured" in " ".join(cli("report").split())


def test_a_wrong_label_stops_the_pipeline(project: Path) -> None:
    labels = project / "seeds/labels.csv"
    before = labels.read_text(encoding="utf-8")
    labels.write_text(before.replace(',security,"Beyond', ',securty,"Beyond'), encoding="utf-8")
    said = sh(project, "dvc", "repro", fails=True)
    labels.write_text(before, encoding="utf-8")
    # What there is stays as it was.
    assert (project / "data/paragraphs.parquet").exists()
    assert sh(project, "git", "status", "--porcelain") == ""
    assert 'line 14: unknown topic "securty"' in said
