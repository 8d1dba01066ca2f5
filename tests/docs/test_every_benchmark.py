"""Every script of benchmarks/ on a made-up table of 200 rows and an encoder of a few weights."""

from __future__ import annotations

import importlib
import json
import random
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.programs import ROOT, run_benchmark
from tests.samples import BODIES, WORDS, paragraph, paragraph_table, write_labelled, write_params

SCRIPTS = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
# What other scripts import or start, or what measures nothing.
SHARED = {"engines", "recipes", "record", "simulation", "tables"}
# What test_benchmarks.py runs, on embeddings that are given, and test_spark_page.py.
ELSEWHERE = {"shares_frozen", "spark"}
OPTIONS = {
    "active_learning": "--seeds 1 --budget 36 --pool-rows 120 --orders random suggested",
    "answers": "--none other --labels 40 --draws 1 --unlabelled 40 "
    "--methods nearest frozen fine-tuned scikit-learn baseline paratopic",
    "calibration": "--none other --shots 8 --seeds 1 --tests 10 --repeats 1",
    "champion": "--sizes 60 --draws 1 --leave-out 'not there'",
    "context": "--labels 40 --draws 1 --methods tfidf 'tfidf in context' paratopic",
    "documents": "articles --formats 'html, elements' 'html, divs' docx",
    "errs_alike": "--repeats 3",
    "estimator": "--none other --labels 40 --draws 1 --unlabelled 40 "
    "--methods paratopic words 'not calibrated' numbers frozen scikit-learn",
    "few_shot": "--shots 4 --seeds 1 --unlabelled 40 "
    "--methods scikit-learn regression fine-tuned tfidf frozen paratopic pool",
    "interval_coverage": "--sizes 24 --draws 2",
    "label_errors": "--noisy noisy --first 20",
    "languages": "--shots 4 --definitions own --draws 1 "
    "--methods words characters nearest frozen baseline untuned paratopic",
    "leakage": "table.parquet --size 40 --draws 2",
    "many_labels": "--labels 60 --draws 1 --context",
    "multi_label": "--column subjects --topics 3 --shots 8 --seeds 1 --tests 60",
    "new_articles": "",
    "rare": "--none other --first 40 --more 10 --pool 80 --rarest 0.24 --draws 1 --frozen",
    "predict": "--shots 4 --rows 40 --engines paratopic",
    "promise": "--none other --sizes 60 --draws 2 --cut 4",
    "sampling": "--none other --first 24 --more 12 --draws 1",
    "slices": "--none other --date introduced --columns veterans_flag --labels 60 --draws 1 "
    "--shuffles 2",
    "regression": "--none other --time year --sizes 60 --draws 2",
    "scale": "--rows 80 --stages prepare 'one fit' scikit-learn",
    "shares": "--none other --time year --by year --per 5 --draws 1 --model baseline",
    "significance": "table.parquet --sizes 24 --draws 2",
    "weak": "--leave-out other --labels 12 --draws 1 --trust-draws 2",
}
# Scripts that add to their results, and do not repeat a run.
RESUMED = {"answers", "context", "few_shot", "interval_coverage", "many_labels", "multi_label"}
RESUMED |= {"active_learning", "estimator", "languages", "promise", "rare", "sampling", "scale"}
RESUMED |= {"shares", "slices", "weak"}
# Scripts that take their table by position, or none.
BY_POSITION = {"documents", "errs_alike", "leakage", "significance"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A folder with the settings of a tiny encoder, a table, an article and the pipeline's rows."""
    folder, rng = tmp_path_factory.mktemp("workplace"), random.Random(0)
    tiny = {"encoder": str(tiny_encoder), "epochs": 1, "device": "cpu", "max_tokens": 32}
    tiny |= {"train_tokens": 16, "unlabelled": 20}
    settings = {f"transformer.{key}": value for key, value in tiny.items()} | {"split.n_repeats": 1}
    write_params(settings, folder / "params.yaml")
    topics = [*sorted(WORDS), "other"]
    labels = [rng.choice(topics) for _ in range(200)]
    texts = [
        f"{paragraph(rng.choice(topics[:3]) if label == 'other' else label, rng)} "
        f"{paragraph(rng.choice(topics[:3]), rng, 6)}"
        for label in labels
    ]
    table = pd.DataFrame({"text": texts, "label": labels})
    table["group"] = [f"document {number // 2}" for number in range(200)]
    table["noisy"] = [rng.choice(topics) if rng.random() < 0.2 else label for label in labels]
    table["subjects"] = [sorted({label, rng.choice(topics)}) for label in labels]
    table["year"] = [2000 + number % 8 for number in range(200)]
    table["introduced"] = table["year"].astype(str) + "-03-01"
    table["veterans_flag"] = [rng.random() < 0.5 for _ in labels]
    table["text_preceding"] = table.groupby("group")["text"].shift(1).fillna("")
    table["text_following"] = table.groupby("group")["text"].shift(-1).fillna("")
    table.to_parquet(folder / "table.parquet")
    labelled = paragraph_table(
        text=texts[:40],
        article=[f"article {number % 8}" for number in range(40)],
        label=[[] if label == "other" else [label] for label in labels[:40]],
        label_source=["hand"] * 40,
    )
    write_labelled(labelled, folder)
    (folder / "articles").mkdir()
    (folder / "articles" / "one.txt").write_text("Harbour Talks Open\n\n" + "\n\n".join(BODIES))
    (folder / "benchmarks" / "results").mkdir(parents=True)
    codebook = {"table": {topic: f"About {topic}." for topic in topics}}
    (folder / "benchmarks" / "codebooks.json").write_text(json.dumps(codebook))
    rules = {"table without other": {topic: WORDS[topic][:2] for topic in WORDS}}
    (folder / "benchmarks" / "rules.json").write_text(json.dumps(rules))
    return folder


@pytest.mark.parametrize("script", sorted(SCRIPTS - SHARED - ELSEWHERE))
def test_a_script_runs_and_says_what_its_results_were_made_with(
    script: str,
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from paratopic.findings import shares
    from paratopic.transformer import fit as transformer

    shutil.copytree(workplace, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(transformer, "CLOSE", transformer.CLOSE)  # predict.py changes it
    monkeypatch.setattr(shares, "N_PERMUTATIONS", shares.N_PERMUTATIONS)  # errs_alike.py does
    table = [] if script in BY_POSITION else ["--data", "table.parquet"]
    words = [*table, *shlex.split(OPTIONS[script])]
    run_benchmark(monkeypatch, tmp_path, script, *words)
    assert "|---|" in capsys.readouterr().out
    results = tmp_path / "benchmarks" / "results" / f"{script}.csv"
    record = importlib.import_module("record")
    assert record.saved(results) and not record.older(results)
    if script in RESUMED:
        before = results.read_text()
        run_benchmark(monkeypatch, tmp_path, script, *words)
        assert results.read_text() == before  # seconds of another run would differ
