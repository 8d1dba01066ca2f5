"""The round trip with a real Label Studio server, by files: `pytest -m labelstudio`.

It installs Label Studio from the package index into an environment of its own and starts it on this
machine. That takes minutes and hundreds of megabytes, so it is not among the tests that always run.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from paratopic.annotation import formats
from paratopic.annotation.context import Suggestion
from paratopic.annotation.label_studio import NONE
from paratopic.labels.answers import Merged, current, merge
from paratopic.labels.log import read_lines
from paratopic.project.topics import Topics
from tests.annotation.small_project import FRAME
from tests.samples import PARAMS

pytestmark = pytest.mark.labelstudio

MINUTES_TO_START = 10
TOKEN = "0123456789abcdef" * 2 + "01234567"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Function that sends a request to the server: `call("POST", "/api/projects", {...})`."""
    folder = tmp_path_factory.mktemp("label-studio")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    programs = folder / "venv" / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", "label-studio"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    request = partial(send, f"http://127.0.0.1:{port}")
    log = folder / "log.txt"
    options = ["--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    options += ["--username", "ann@example.org", "--password", "pass-word-1"]
    options += ["--user-token", TOKEN, "--enable-legacy-api-token"]
    settings = {"LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data"), "COLLECT_ANALYTICS": "false"}
    with log.open("wb") as file:
        server = subprocess.Popen(
            [programs / "label-studio", "start", *options],
            env=os.environ | settings,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(60 * MINUTES_TO_START):
            assert server.poll() is None, log.read_text(errors="replace")[-3000:]
            try:
                request("GET", "/api/version")
                break
            except (urllib.error.URLError, OSError):
                time.sleep(1)
        else:
            raise AssertionError(log.read_text(errors="replace")[-3000:])
        yield request
    finally:
        server.terminate()
        server.wait()


def send(address: str, method: str, path: str, body: Any = None) -> Any:
    """Send a request and return its response, both JSON."""
    request = urllib.request.Request(
        address + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.loads(response.read() or "null")


def chosen(name: str, *choices: str) -> dict[str, Any]:
    """Result of an annotation: choices made in a control."""
    value = {"choices": list(choices)}
    return {"from_name": name, "to_name": "text", "type": "choices", "value": value}


def test_suggestions_are_annotated_exported_and_imported(
    call: Call, tmp_path: Path, topics: Topics
) -> None:
    scores = dict(zip(topics.names, (0.2, 0.5, 0.3), strict=True))
    suggestions = [
        Suggestion(row["id"], "news", "Trade", row["text"], (), ("More.",), scores)
        for row in FRAME.to_dict("records")
    ]
    path = tmp_path / "tasks.json"
    tasks, config_file = formats.write_tasks(path, suggestions, topics, "baseline")
    config = config_file.read_text(encoding="utf-8")
    project = call("POST", "/api/projects", {"title": "round trip", "label_config": config})
    written = json.loads(tasks.read_text(encoding="utf-8"))
    imported = call("POST", f"/api/projects/{project['id']}/import", written)
    assert (imported["task_count"], imported["prediction_count"]) == (4, 4)
    there = call("GET", f"/api/tasks?project={project['id']}&fields=all")["tasks"]
    task_of = {task["data"]["paragraph"]: task for task in there}
    first, second, third, fourth = FRAME["id"]
    (prediction,) = task_of[first]["predictions"]
    assert prediction["result"][0]["value"]["choices"] == ["technology"]
    assert prediction["model_version"] == "baseline"

    note = {"from_name": "note", "to_name": "text", "type": "textarea", "value": {"text": ["why"]}}

    def annotate(paragraph: str, *result: dict[str, Any], **more: Any) -> Any:
        path = f"/api/tasks/{task_of[paragraph]['id']}/annotations"
        return call("POST", path, {"result": list(result)} | more)

    annotate(first, chosen("dominant", "trade"))
    changed = annotate(second, chosen("dominant", "trade"))
    better = {"result": [chosen("dominant", "security"), chosen("others", "trade"), note]}
    annotate(third, chosen("dominant", NONE))
    annotate(fourth, was_cancelled=True)

    def import_export() -> Merged:
        export = tmp_path / "export.json"
        path = f"/api/projects/{project['id']}/export?exportType=JSON&download_all_tasks=true"
        export.write_text(json.dumps(call("GET", path)), encoding="utf-8")
        imported_labels = formats.read_answers(export, FRAME, topics)
        assert not imported_labels.problems
        assert imported_labels.left_out == {"skipped by the annotator": 1}
        return merge(
            tmp_path / "labels.csv", imported_labels.labels, "export", {}, topics, PARAMS.labels
        )

    assert import_export().added == 3
    before = (tmp_path / "labels.csv").read_bytes()
    assert import_export().added == 0
    assert (tmp_path / "labels.csv").read_bytes() == before
    call("PATCH", f"/api/annotations/{changed['id']}", better)
    merged = import_export()
    assert (merged.added, len(merged.disputes)) == (1, 1)
    counted = {
        x.paragraph: (x.cell, x.note) for x in current(read_lines(tmp_path / "labels.csv"), topics)
    }
    assert counted == {first: ("trade", ""), second: ("security;trade", "why"), third: ("", "")}
