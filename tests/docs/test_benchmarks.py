"""Benchmarks whose tables are not in the repository, on made-up tables."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.programs import ROOT
from tests.samples import FILLER, WORDS, paragraph


def test_context_is_measured_on_pairs_of_the_same_draw(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = []
    for document in range(20):
        for _ in range(3):  # runs of one topic, some of whose texts say nothing
            topic = rng.choice(sorted(WORDS))
            texts = [paragraph(topic, rng) for _ in range(4)]
            texts[1] = " ".join(rng.sample(FILLER, 5)).capitalize() + "."
            rows += [(text, topic, f"document {document}") for text in texts]
    table = pd.DataFrame(rows, columns=["text", "label", "group"])
    near = table.groupby("group")["text"]
    table["text_preceding"] = near.shift(1).fillna("")
    table["text_following"] = near.shift(-1).fillna("")
    table.to_parquet(tmp_path / "table.parquet")
    results = tmp_path / "results.json"
    files = ["--data", str(tmp_path / "table.parquet"), "--results", str(results)]
    options = ["--labels", "60", "--draws", "2", "--methods", "tfidf", "tfidf in context"]
    run = subprocess.run(
        [sys.executable, "benchmarks/context.py", *files, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    runs = pd.DataFrame(json.loads(results.read_text())["runs"])
    macro_f1 = runs.pivot(index="seed", columns="method", values="macro_f1")
    assert macro_f1.shape == (2, 2)
    gains = 100 * (macro_f1["tfidf in context"] - macro_f1["tfidf"])
    assert gains.mean() > 5  # a quarter of the texts have no word of their topic
    gain = re.search(r"\| ([-+][\d.]+) ± [\d.]+ \|$", run.stdout.strip())
    assert gain and abs(float(gain[1]) - gains.mean()) < 0.06
