"""Label Studio's backend: what it answers to each request, and what an event adds to labels.csv."""

from __future__ import annotations

import base64
import errno
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from paratopic.annotation import backend, web
from paratopic.annotation.formats import write_tasks
from paratopic.annotation.label_studio import configuration
from paratopic.annotation.suggestion import suggest
from paratopic.cli.labels import make_backend
from paratopic.inference.folder import MANIFEST, digest_of
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.inference.prediction import Prediction
from paratopic.labels.log import Label, append, read_lines
from paratopic.project.params import read_params
from paratopic.project.passages import Passage, Text
from paratopic.project.paths import CHAMPION, MODELS
from paratopic.project.topics import Topics
from paratopic.reading.article import paragraphs_of
from paratopic.reading.sources import frame_of
from tests.annotation.small_project import FRAME, make_project
from tests.programs import run_cli
from tests.samples import plain_article

PORT = 9090
HERE = f"http://127.0.0.1:{PORT}"
LABELS = Path("seeds/labels.csv")
TOKEN = "a long random text"
TEXT_OF = dict(zip(FRAME["id"], FRAME["text"], strict=True))
FIRST, SECOND, *_ = TEXT_OF

Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, baseline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the baseline as its champion, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("PARATOPIC_MODEL", "PARATOPIC_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return make_project(tmp_path, baseline_folder)


def client_of(**options: Any) -> TestClient:
    return TestClient(backend.application(make_backend(**options)), base_url=HERE)


@pytest.fixture
def client() -> TestClient:
    return client_of()


def task(paragraph: str, number: int = 7, **more: Any) -> dict[str, Any]:
    return {"id": number, "data": {"paragraph": paragraph, "text": TEXT_OF.get(paragraph)} | more}


def annotation(*choices: str, **more: Any) -> dict[str, Any]:
    value = {"choices": list(choices)}
    result = {"from_name": "dominant", "to_name": "text", "type": "choices", "value": value}
    saved = {"id": 3, "completed_by": 1, "updated_at": "2025-09-15T10:00:00.123456Z"}
    return saved | {"result": [result]} | more


def event(task: Any, annotation: Any, action: str = "ANNOTATION_CREATED") -> dict[str, Any]:
    return {"action": action, "task": task, "annotation": annotation}


def cells() -> list[tuple[str, str, str]]:
    lines = read_lines(LABELS) if LABELS.exists() else []
    return [(line.paragraph, line.cell, line.annotator) for line in lines]


def predictions(client: TestClient, *tasks: dict[str, Any]) -> list[list[dict[str, Any]]]:
    response = client.post("/predict", json={"tasks": tasks, "project": "1.1", "label_config": ""})
    assert response.status_code == 200
    assert response.json()["model_version"] == digest_of(MODELS / "baseline")
    results: list[list[dict[str, Any]]] = response.json()["results"]
    return results


def test_it_is_up_and_says_which_version_the_model_has(client: TestClient) -> None:
    for path in ("/", "/health"):
        assert client.get(path).json() == {"status": "UP"}
    answer = client.post("/setup", json={"project": "1.1", "schema": "<View/>"})
    assert answer.json() == {"model_version": digest_of(MODELS / "baseline")}
    assert client.get("/predict").status_code == 405
    assert client.post("/train", json={}).status_code == 404


def test_a_prediction_fits_the_labelling_configuration(client: TestClient) -> None:
    (given,) = predictions(client, task(FIRST))[0]
    (result,) = given["result"]
    config = ElementTree.fromstring(configuration(read_params().topics))
    control = config.find(f".//Choices[@name='{result['from_name']}']")
    assert control is not None and control.get("toName") == result["to_name"] == "text"
    assert result["value"] == {"choices": ["trade"]}
    assert "trade" in {choice.get("value") for choice in control}
    assert 0 < given["score"] <= 1 and given["model_version"] == digest_of(MODELS / "baseline")


def test_each_task_has_a_result_and_without_a_text_it_is_empty(client: TestClient) -> None:
    tasks = [task(FIRST), task(SECOND, text=" "), {"data": {}}, {"data": {"text": 7}}, task(SECOND)]
    assert [len(each) for each in predictions(client, *tasks)] == [1, 0, 0, 0, 1]
    assert predictions(client) == []


@pytest.mark.parametrize(
    ("around", "passage"),
    [
        (
            {
                "before": "One.\n\nTwo.",
                "after": "Three.",
                "heading": "Talks / Trade",
                "title": "Talks",
            },
            Passage("Text.", ("One.", "Two."), ("Three.",), "Trade", "Talks"),
        ),
        ({"before": "", "after": "", "heading": "Trade"}, Passage("Text.", ("",), ("",), "Trade")),
        (
            {"before": 7, "after": None, "heading": ["x"], "title": {}},
            Passage("Text.", ("",), ("",)),
        ),
    ],
)
def test_the_model_reads_what_a_task_has_around_its_text(
    around: dict[str, Any], passage: Passage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Text] = []
    predict = Model.predict

    def record(model: Model, texts: list[Text]) -> list[Prediction]:
        asked.extend(texts)
        return predict(model, texts)

    monkeypatch.setattr(Model, "predict", record)
    (given,) = predictions(client_of(), task("new", text="Text.", **around))
    assert asked == [passage] and len(given) == 1


def test_a_task_is_predicted_as_its_suggestion_is(
    tmp_path: Path, reading_folder: Path, topics: Topics
) -> None:
    model = load(reading_folder)
    article = plain_article(
        "talks", "The Navy\n\nCustoms\n\nA tariff.\n\nIt rained.\n\nChips\n\nThe app."
    )
    frame = frame_of(paragraphs_of(article))
    found = suggest(frame, set(), model, 9, 0)
    path, _ = write_tasks(tmp_path / "tasks.json", found, topics, "baseline")
    tasks = json.loads(path.read_text(encoding="utf-8"))
    shutil.copytree(reading_folder, MODELS / "baseline", dirs_exist_ok=True)
    scores = [given["score"] for (given,) in predictions(client_of(), *tasks)]
    assert scores == [item["predictions"][0]["score"] for item in tasks]
    assert scores != [round(model.predict(item.text).confidence, 4) for item in found]


def test_what_the_model_thinks_is_hidden_of_a_paragraph_with_an_answer(client: TestClient) -> None:
    tasks = [task(FIRST), task(SECOND)]
    assert [len(each) for each in predictions(client, *tasks)] == [1, 1]
    taken = append(LABELS, Label("", FIRST, "trade", "", "ann"))
    assert [len(each) for each in predictions(client, *tasks)] == [0, 1]
    append(LABELS, Label("", taken.paragraph, "?", "", "ann"))  # taken back
    assert [len(each) for each in predictions(client, *tasks)] == [1, 1]
    assert predictions(client_of(blind=True), *tasks) == [[], []]


@pytest.mark.parametrize("drawn", ["1", "0.3", "article"])
def test_a_task_that_was_drawn_is_not_predicted_and_keeps_its_draw(
    client: TestClient, drawn: str
) -> None:
    sampled = task(FIRST)
    sampled["data"] |= {"drawn": drawn, "drawn_after": SECOND}
    assert [len(each) for each in predictions(client, sampled, task(SECOND))] == [0, 1]
    assert client.post("/webhook", json=event(sampled, annotation("trade"))).is_success
    assert [(line.paragraph, line.drawn) for line in read_lines(LABELS)] == [(FIRST, drawn)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"tasks": [7]}',
        b'{"tasks": null, "task": {"data": []}, "action": 7}',
        b'{"tasks": [{"data": "text"}], "action": "ANNOTATION_CREATED"}',
        b'{"tasks": [{}], "action": "ANNOTATION_CREATED", "task": {}, "annotation": {}}',
        b'{"tasks": [{}], "action": "ANNOTATIONS_CREATED", "task": [], "annotation": [{}]}',
    ],
)
def test_bad_requests_are_refused_and_told(
    client: TestClient, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("/predict", "/webhook"):
        response = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 400
        assert f"note: {path}: {response.text}\n" in capsys.readouterr().err
    assert cells() == []


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters()),
    lambda item: st.lists(item, max_size=3) | st.dictionaries(st.text(), item, max_size=3),
    max_leaves=8,
)
ACTIONS = [*backend.SAVED, backend.TRAINING, "TASKS_CREATED"]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested lists and objects: what holds it, and its index or key."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield value, key
        yield from places(value[key])


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """A request with anything in some of its places."""
    body = {"body": event(task(FIRST), annotation("trade"), draw(st.sampled_from(ACTIONS)))}
    body["body"] |= {"tasks": [task(SECOND), task(FIRST)]}
    for _ in range(draw(st.integers(0, 4))):
        holder, key = draw(st.sampled_from(list(places(body))))
        holder[key] = draw(JSON)
    return body["body"]


def test_any_json_is_answered(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "TRAIN", (sys.executable, "-c", ""))

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(bodies())
    def answered(body: Any) -> None:
        for path in ("/setup", "/predict", "/webhook"):
            sent = {"Content-Type": "application/json"}
            response = client.post(path, content=json.dumps(body), headers=sent)
            assert response.status_code in {200, 400}

    answered()
    assert cells()  # some events were imported


def test_an_event_is_imported_as_import_does(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "cy")
    saved = [
        (FIRST, annotation("trade")),
        (SECOND, annotation("(none of the topics)", completed_by=None)),
        (FIRST, annotation("security", "trade", updated_at="2025-09-15T11:00:00Z")),
        (SECOND, annotation("trade", was_cancelled=True)),
        (SECOND, annotation()),
    ]
    for paragraph, each in saved:
        answer = client.post("/webhook", json=event(task(paragraph), each, "ANNOTATION_UPDATED"))
        assert (answer.status_code, answer.json()) == (200, {"problems": []})
    counted = [(SECOND, "", "cy"), (FIRST, "trade", "label-studio-1")]
    assert set(counted) < set(cells()) and len(cells()) == 3
    by_events = LABELS.read_bytes()
    exported = [task(paragraph) | {"annotations": [each]} for paragraph, each in saved]
    Path("export.json").write_text(json.dumps(exported), encoding="utf-8")
    assert run_cli(monkeypatch, "import", "export.json") == 0
    assert LABELS.read_bytes() == by_events  # nothing is new in it
    LABELS.unlink()
    assert run_cli(monkeypatch, "import", "export.json") == 0
    assert LABELS.read_bytes() == by_events


def test_annotations_made_of_predictions_come_many_at_a_time(client: TestClient) -> None:
    body = event([task(FIRST), task(SECOND)], [annotation("trade"), annotation("security")])
    assert client.post("/webhook", json=body | {"action": "ANNOTATIONS_CREATED"}).is_success
    assert [(paragraph, cell) for paragraph, cell, _ in cells()] == [
        (FIRST, "trade"),
        (SECOND, "security"),
    ]


def test_other_events_change_nothing(client: TestClient) -> None:
    for action in ("PROJECT_UPDATED", "TASKS_CREATED", "ANNOTATIONS_DELETED"):
        assert client.post("/webhook", json={"action": action}).status_code == 200
    assert cells() == []


def test_an_annotation_that_cannot_be_imported_is_told(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    body = event(task("news:gone"), annotation("trade"))
    (problem,) = client.post("/webhook", json=body).json()["problems"]
    assert problem.startswith("Label Studio, task 7: the sources have no paragraph news:gone;")
    (problem,) = client.post("/webhook", json=event(task(FIRST), annotation("trad"))).json()[
        "problems"
    ]
    assert 'unknown topic "trad" (did you mean "trade"?)' in problem
    assert problem in capsys.readouterr().err


def test_labels_that_cannot_be_written_are_not_confirmed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("paratopic.labels.answers.rewrite", full)
    body = event(task(FIRST), annotation("trade"))
    assert client.post("/webhook", json=body).status_code == 507
    LABELS.write_text("paragraph,topic\n", encoding="utf-8")
    for path, sent in (("/webhook", body), ("/predict", {"tasks": []})):
        response = client.post(path, json=sent)
        assert response.status_code == 400 and "labels.csv, line 1" in response.text


def test_suggest_leaves_out_what_an_event_labelled(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client.post("/webhook", json=event(task(FIRST), annotation("trade")))
    capsys.readouterr()
    assert run_cli(monkeypatch, "suggest") == 0
    printed = capsys.readouterr().out
    assert SECOND in printed and FIRST not in printed


def test_a_model_that_is_trained_anew_predicts_from_then_on(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    model = MODELS / "baseline"
    before = digest_of(model)
    kept = model.rename(MODELS / "away")
    CHAMPION.unlink()
    for _ in range(2):  # while the new one is trained
        assert client.post("/setup", json={}).json() == {"model_version": before}
        assert client.post("/predict", json={"tasks": [task(FIRST)]}).json()["results"][0]
    assert capsys.readouterr().err.count("the previous model goes on predicting") == 1
    shutil.copytree(kept, MODELS / "transformer")
    manifest = MODELS / "transformer" / MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    CHAMPION.write_text('{"champion": "transformer"}', encoding="utf-8")
    after = digest_of(MODELS / "transformer")
    assert after != before
    assert client.post("/setup", json={}).json() == {"model_version": after}
    answer = client.post("/predict", json={"tasks": [task(FIRST)]}).json()
    assert answer["model_version"] == answer["results"][0][0]["model_version"] == after
    assert "a new model predicts from now on" in capsys.readouterr().err


def test_training_is_started_once_at_a_time(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import os, time\nopen(f'run{os.getpid()}', 'x')\nwhile not os.path.exists('end'): "
    monkeypatch.setattr(backend, "TRAIN", (sys.executable, "-c", f"{program}time.sleep(.01)"))

    def wait_for(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.01)

    def start_training() -> int:
        assert client.post("/webhook", json={"action": "START_TRAINING"}).status_code == 200
        return len(list(folder.glob("run*")))

    start_training()
    wait_for(lambda: len(list(folder.glob("run*"))) == 1)
    assert start_training() == 1
    (folder / "end").touch()
    wait_for(lambda: start_training() > 1)


def credentials(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        (None, {}, 200),
        (None, {"Host": f"localhost:{PORT}"}, 200),
        (None, {"Host": f"evil.example:{PORT}"}, 400),
        (None, {"Origin": "http://evil.example"}, 403),
        (None, {"Content-Type": "text/plain"}, 415),
        (TOKEN, {}, 401),
        (TOKEN, credentials("paratopic", TOKEN), 200),
        (TOKEN, credentials("paratopic", TOKEN) | {"Host": "studio.example"}, 200),
        (TOKEN, credentials("paratopic", TOKEN) | {"Origin": "http://evil.example"}, 403),
        (TOKEN, credentials("paratopic", "another"), 401),
        (TOKEN, credentials("ann", TOKEN), 401),
        (TOKEN, {"Authorization": f"Bearer {TOKEN}"}, 401),
        (TOKEN, {"Authorization": "Basic"}, 401),
    ],
)
def test_requests_of_others_are_refused(
    token: str | None, headers: dict[str, str], status: int
) -> None:
    client = TestClient(backend.application(make_backend(), token), base_url=HERE)
    content = json.dumps(event(task(FIRST), annotation("trade")))
    sent = {"Content-Type": "application/json"} | headers
    assert client.post("/webhook", content=content, headers=sent).status_code == status
    assert len(cells()) == (status == 200)
    if status in {400, 401, 403}:
        assert client.get("/health", headers=sent).status_code == status


def test_other_machines_need_a_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[Any] = []

    def listen(greeting: str, port: int, host: str) -> AbstractContextManager[None]:
        served.append((port, host))
        return nullcontext()

    monkeypatch.setattr(web, "listen", listen)
    monkeypatch.setattr(web, "serve", lambda application, listener: None)
    assert run_cli(monkeypatch, "backend", "--host", "0.0.0.0") == 1
    assert "set the environment variable PARATOPIC_TOKEN" in capsys.readouterr().out
    monkeypatch.setenv("PARATOPIC_TOKEN", TOKEN)
    assert run_cli(monkeypatch, "backend", "--host", "0.0.0.0", "--port", "0") == 0
    monkeypatch.delenv("PARATOPIC_TOKEN")
    assert run_cli(monkeypatch, "backend") == 0
    assert served == [(0, "0.0.0.0"), (9090, "127.0.0.1")]


def test_the_command_serves_until_it_is_stopped(folder: Path) -> None:
    program = "from paratopic.cli.app import main; main()"
    command = [sys.executable, "-c", program, "backend", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[5]
        with urllib.request.urlopen(f"{address}/health") as reply:
            assert json.load(reply) == {"status": "UP"}
        server.terminate()
