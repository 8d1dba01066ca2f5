"""Loading: the search for a model, reloads of the default one, imports and missing packages."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import mlflow
import pytest

from paratopic.inference.model import _default_model, load, predict
from paratopic.inference.onnx_model import EncoderClassifier
from paratopic.inference.registry import fetch, store_errors
from paratopic.project.errors import UserError
from tests.inference.test_manifest import repacked
from tests.programs import python
from tests.samples import TARIFF


def test_the_default_is_the_champion(
    saved: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARATOPIC_MODEL", raising=False)
    with pytest.raises(UserError, match="dvc repro"):
        predict("a text")
    with pytest.raises(UserError, match="does not exist"):
        load(here / "nowhere")
    monkeypatch.setenv("PARATOPIC_MODEL", str(saved))
    by_environment = predict(TARIFF)
    monkeypatch.delenv("PARATOPIC_MODEL")
    models = here / "models"
    shutil.copytree(saved, models / saved.name)
    (models / "champion").write_text(json.dumps({"champion": saved.name}))
    below = here / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert predict(TARIFF) == by_environment
    assert load(models / "champion").folder == models / saved.name
    (models / "champion").write_text("{")
    with pytest.raises(UserError, match="champion"):
        predict("a text")


def test_a_default_that_was_trained_again_is_loaded_again(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARATOPIC_MODEL", str(saved))
    _default_model.cache_clear()
    predict("one")
    predict("two")
    assert _default_model.cache_info().misses == 1
    (saved / "paratopic.json").touch()
    predict("three")
    assert _default_model.cache_info().misses == 2


def test_prediction_imports_little(saved: Path, tmp_path: Path) -> None:
    program = (
        "import sys, paratopic\n"
        "heavy = {'torch', 'transformers', 'mlflow', 'pandas', 'datasets', 'dvc', 'sklearn'}\n"
        f"print(paratopic.predict({TARIFF!r}).topic)\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    run = python(program, cwd=tmp_path, env={"PATH": "", "PARATOPIC_MODEL": str(saved)})
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == load(saved).predict(TARIFF).topic == "trade"


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "", ["a"]])
def test_a_champion_is_a_folder_next_to_its_file(name: object, tmp_path: Path) -> None:
    path = tmp_path / "champion"
    path.write_text(json.dumps({"champion": name}))
    with pytest.raises(UserError, match="champion"):
        load(path)


@pytest.mark.parametrize("trained", ["transformer"], indirect=True)
@pytest.mark.parametrize("name", EncoderClassifier.FILES)
def test_a_damaged_file_of_a_transformer_is_refused(saved: Path, name: str, tmp_path: Path) -> None:
    folder = repacked(saved, tmp_path / "model", name, lambda p: p.write_bytes(b"not that"))
    with pytest.raises(UserError, match="cannot be loaded as a"):
        load(folder)


@pytest.mark.parametrize(
    ("missing", "store", "message"),
    [
        ("mlflow.artifacts", "http://127.0.0.1:9", r"a server needs .*paratopic\[registry\]"),
        ("mlflow.artifacts", "sqlite:///mlflow.db", r"a database needs .*paratopic\[train\]"),
        ("sqlalchemy", "sqlite:///mlflow.db", r"a database needs sqlalchemy, .*\[train\]"),
        ("sqlalchemy", "http://127.0.0.1:9", "cannot be loaded from MLflow at http://127.0.0.1:9"),
    ],
)
def test_a_missing_package_is_named(tmp_path: Path, missing: str, store: str, message: str) -> None:
    """The test needs its own process, because MLflow remembers packages that are missing."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path\n"
        "from paratopic.inference.registry import fetch\n"
        "from paratopic.project import errors\n"
        "errors.run(lambda: fetch('models:/paratopic@champion', Path()))\n"
    )
    run = python(program, cwd=tmp_path, env=os.environ | {"MLFLOW_TRACKING_URI": store})
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert re.search(rf"models:/paratopic@champion.* {message}", run.stderr), run.stderr


def test_a_damaged_store_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    elsewhere = tmp_path / "below"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(UserError, match=r"(?s)cannot be loaded from MLflow at .*mlflow.db"):
        fetch("models:/paratopic@champion", tmp_path)
    # The current directory is still empty, and MLflow's store is the same as before.
    assert list(elsewhere.iterdir()) == [] and not mlflow.is_tracking_uri_set()


def test_an_error_of_a_store_without_a_message_is_named() -> None:
    with pytest.raises(UserError, match=r"^no store: TimeoutError\(\)$"), store_errors("no store"):
        raise TimeoutError
