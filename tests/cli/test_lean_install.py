"""An install only for prediction: its commands, and the extra that other commands name."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.documents import save
from tests.programs import python
from tests.samples import copy_settings

# Hides the packages of the extras from Python and from the programs that it starts.
HIDING = """
import sys

EXTRAS = (
    "datasets dvc jinja2 joblib lxml mammoth matplotlib mlflow onnx onnxscript pandas pdfminer "
    "psutil pyarrow regex ruamel sentence_transformers sklearn starlette torch "
    "trafilatura transformers uvicorn"
).split()

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""

# Runs commands, each in one line of JSON.
PROGRAM = """
import contextlib, io, json, sys
from paratopic.cli.app import main

results = []
for line in sys.stdin:
    sys.argv, printed = ["paratopic", *json.loads(line)], io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            main()
    except SystemExit as end:
        results.append([end.code, printed.getvalue()])
print(json.dumps(results))
"""


def test_it_predicts_and_names_the_extra_that_other_commands_need(
    baseline_folder: Path, tmp_path: Path
) -> None:
    copy_settings(tmp_path)
    save(tmp_path, "in.csv", "text\nA tariff.\n")
    for suffix in ("txt", "html", "docx", "pdf", "parquet"):
        save(tmp_path, f"in.{suffix}", "<p>A tariff.")
    predict = ["predict", "--model", str(baseline_folder)]
    train, articles = "pip install 'paratopic[train]'", "pip install 'paratopic[articles]'"
    expected: list[tuple[list[str], str]] = [
        (["--version"], ""),
        ([*predict, "in.csv", "--out", "answers.xlsx"], ""),
        ([*predict, "in.txt", "--why"], ""),
        *(([command], train) for command in ("suggest", "label", "review", "status", "report")),
        (["import", "in.csv"], train),
        *(([*predict, f"in.{suffix}"], articles) for suffix in ("html", "docx", "pdf")),
        ([*predict, "in.parquet", "--out", "out"], "parquet needs pyarrow: pip install pyarrow"),
    ]
    save(tmp_path, "sitecustomize.py", HIDING)
    paths = filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    commands = "\n".join(json.dumps(words) for words, _ in expected)
    run = python(PROGRAM, input=commands, cwd=tmp_path, env=env)
    assert run.returncode == 0, run.stderr
    for (words, message), (code, printed) in zip(expected, json.loads(run.stdout), strict=True):
        if message:
            assert str(code).startswith("paratopic: ") and message in str(code), (words, code)
        else:
            assert code == 0, (words, code, printed)
    for name in ("Project", "sklearn"):
        run = python(f"from paratopic import {name}", cwd=tmp_path, env=env)
        assert run.returncode and run.stderr.rstrip().endswith(train), run.stderr
