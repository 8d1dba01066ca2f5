"""`paratopic publish`, and models that are loaded from where they were published."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic import UserError, load
from paratopic.inference.manifest import digest_of
from tests.programs import Cli
from tests.samples import TARIFF


@pytest.mark.usefixtures("here")
def test_a_model_is_shown_published_to_a_folder_and_loaded_by_its_digest(
    baseline_folder: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    words = ["publish", "model", "--model", str(baseline_folder), "--to", "out"]
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    printed = cli(*words, status=130)
    assert "To the folder out:" in printed and "bytes  paratopic.json" in printed
    assert not Path("out").exists()  # Nobody confirmed.
    digest = digest_of(baseline_folder)
    assert f'load("out#sha256:{digest}") opens it' in cli(*words, "--yes")
    assert load(f"out#sha256:{digest}").predict(TARIFF).topic == "trade"
    monkeypatch.setenv("PARATOPIC_MODEL", f"out#sha256:{digest[::-1]}")
    with pytest.raises(UserError, match=f"out .*sha256:{digest[::-1]}"):
        load()
    with pytest.raises(UserError, match="out#sha256:: "):
        load("out#sha256:")
    assert "out exists already" in cli(*words, "--yes", status=1)
    printed = cli(*words[:-1], "press/model", "--yes", status=1)
    assert "press" in printed
