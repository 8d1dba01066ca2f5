"""`paratopic publish`, and models that are loaded from where they were published."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paratopic import UserError, load
from paratopic.inference.folder import digest_of
from tests.hub import running
from tests.programs import Cli, python
from tests.samples import TARIFF

PROGRAM = """
import sys
from paratopic import UserError, load
from paratopic.cli.app import main

if sys.argv[1] == "publish":
    main()
for address in sys.argv[1:]:
    try:
        print(load(address).predict(%r).topic)
    except UserError as error:
        print(error)
"""


@pytest.mark.usefixtures("here")
def test_a_model_is_shown_published_to_a_folder_and_loaded_by_its_digest(
    baseline_folder: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    words = ["publish", "model", "--model", str(baseline_folder), "--to", "out"]
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    printed = cli(*words, status=130)
    assert "To the folder out:" in printed and "bytes  paratopic.json" in printed
    assert not Path("out").exists()  # nobody printed yes
    digest = digest_of(baseline_folder)
    assert f'load("out#sha256:{digest}") opens it' in cli(*words, "--yes")
    assert load(f"out#sha256:{digest}").predict(TARIFF).topic == "trade"
    monkeypatch.setenv("PARATOPIC_MODEL", f"out#sha256:{digest[::-1]}")
    with pytest.raises(UserError, match=f"out is another model than sha256:{digest[::-1]}"):
        load()
    with pytest.raises(UserError, match="out#sha256:: the digest after #sha256: is missing"):
        load("out#sha256:")
    assert "out exists already" in cli(*words, "--yes", status=1)
    printed = cli(*words[:-1], "press/model", "--yes", status=1)
    assert "or write hf://press/model for a hub" in printed


def test_a_model_is_sent_to_a_hub_and_loaded_from_there(
    baseline_folder: Path, tmp_path: Path
) -> None:
    def run(endpoint: str, *words: str) -> list[str]:
        home = {"HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_nobody"}
        env = {**os.environ, "HF_ENDPOINT": endpoint} | home
        return python(PROGRAM % TARIFF, *words, env=env).stdout.splitlines()

    publish = ("publish", "model", "--model", str(baseline_folder), "--yes", "--to")
    with running() as hub:
        run(hub.address, *publish, "hf://press/topics")
        (commit,) = hub.repositories["models", "press/topics"]
        address = f"hf://press/topics@{commit}#sha256:{digest_of(baseline_folder)}"
        assert run(hub.address, address) == ["trade"]
        fetched = [line for line in hub.asked if line.startswith("GET") and "resolve" in line]
        assert not [line for line in fetched if "README" in line]
        for blob in (tmp_path / "home" / "hub").glob("models--press--topics/blobs/*"):
            blob.write_bytes(b"[")
        other = f"hf://press/x@{hub.commit('models', 'press/x', {'other.txt': b'no model'})}"
        again, wrong, none = run(hub.address, address, f"hf://press/topicz@{commit}", other)
    assert again == "trade"  # what is damaged is fetched again
    assert "hf://press/topicz" in wrong and "there is no such model" in wrong
    assert "is not a paratopic model: it has no paratopic.json" in none
    unknown, bare = f"hf://press/topics@{commit[::-1]}", "hf://press/topics"
    kept, unreachable, refused = run("http://127.0.0.1:9", address, unknown, bare)
    assert kept == "trade"  # from the cache
    assert "the hub cannot be reached" in unreachable
    assert "write the commit after the name" in refused
