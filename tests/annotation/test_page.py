"""The labelling page: what it writes, whom it answers, and how it works in a browser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from paratopic.annotation import page
from paratopic.labels.answers import read_labels
from paratopic.labels.log import read_lines
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from tests.programs import BROWSER, DRIVER
from tests.samples import suggestions

PORT = 8765
HERE = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


@pytest.fixture
def session(path: Path, topics: Topics) -> page.Session:
    return page.Session(path, "ann", suggestions(topics), topics)


@pytest.fixture
def client(session: page.Session) -> TestClient:
    return TestClient(page.application(session, PORT), base_url=HERE)


def said(path: Path) -> list[tuple[str, str, str, str]]:
    return [(x.paragraph, x.cell, x.annotator, x.note) for x in read_labels(path)]


def answer(paragraph: str, *topics: str, note: str = "") -> dict[str, Any]:
    return {"id": paragraph, "topics": topics, "note": note}


def test_an_answer_is_in_the_file_before_it_is_confirmed(client: TestClient, path: Path) -> None:
    state = client.get("/state").json()
    assert [item["answer"] for item in state["items"]] == [None] * 3
    assert state["items"][0]["topic"] == "technology"
    saved = client.post("/save", json=answer("news:0", "security", "trade", note="why"))
    assert saved.json()["answer"] == {"topics": ["security", "trade"], "note": "why"}
    assert said(path) == [("news:0", "security;trade", "ann", "why")]
    (line,) = read_lines(path)
    assert line.text == "Tariffs <b>rose</b> 0 times on goods that crossed the"
    client.post("/save", json=answer("news:1"))
    assert said(path)[1] == ("news:1", "", "ann", "")
    state = client.get("/state").json()
    assert [item["answer"] is None for item in state["items"]] == [False, False, True]


def test_undo_brings_back_what_stood_before(client: TestClient, path: Path) -> None:
    for names in (["trade"], ["security"]):
        client.post("/save", json=answer("news:0", *names))
    assert client.post("/undo", json={}).json()["answer"]["topics"] == ["trade"]
    assert said(path) == [("news:0", "trade", "ann", "")]
    assert client.post("/undo", json={}).json() == {"id": "news:0", "answer": None}
    assert said(path) == []
    assert client.post("/undo", json={}).status_code == 409
    assert len(read_lines(path)) == 4  # nothing is taken out of the file


def test_what_an_annotator_said_before_is_shown_and_others_are_not(
    path: Path, topics: Topics
) -> None:
    page.Session(path, "ann", suggestions(topics), topics).save("news:0", ["trade"], "")
    page.Session(path, "bo", suggestions(topics), topics).save("news:1", ["trade"], "")
    shown = page.Session(path, "ann", suggestions(topics), topics).state()["items"]
    assert [item["answer"] for item in shown] == [{"topics": ("trade",), "note": ""}, None, None]


@pytest.mark.parametrize(
    "body",
    [
        answer("news:9", "trade"),
        answer("news:0", "trad"),
        {"id": "news:0", "topics": "trade", "note": ""},
        {"id": "news:0", "topics": ["trade"], "note": None},
        {"id": "news:0"},
        [],
    ],
)
def test_what_makes_no_sense_is_refused_and_not_written(
    client: TestClient, path: Path, body: Any
) -> None:
    assert client.post("/save", json=body).status_code == 400
    assert not path.exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"Host": f"evil.example:{PORT}"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": f"evil.example:{PORT}", "Origin": f"http://evil.example:{PORT}"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({}, 200),
        ({"Origin": HERE}, 200),
        ({"Host": f"localhost:{PORT}", "Origin": f"http://localhost:{PORT}"}, 200),
    ],
)
def test_foreign_pages_are_refused(
    client: TestClient, path: Path, headers: dict[str, str], status: int
) -> None:
    content = json.dumps(answer("news:0", "trade"))
    sent = {"Content-Type": "application/json"} | headers
    assert client.post("/save", content=content, headers=sent).status_code == status
    assert path.exists() == (status == 200)
    if status == 403:
        for page in ("/", "/state"):
            assert client.get(page, headers=headers).status_code == 403


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert "http://" not in page.text and "https://" not in page.text and "src=" not in page.text
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"].startswith("'sha256-")
    assert client.get("/gone").headers["content-security-policy"]


def test_a_port_in_use_is_told(session: page.Session) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be used"):
            page.serve(session, port)


SERVE = """
import sys
from pathlib import Path
from paratopic.annotation.page import Session, serve
from paratopic.project.topics import Topics
from tests.samples import suggestions
topics = Topics("single", ("trade", "technology", "security"))
serve(Session(Path(sys.argv[1]), "ann", suggestions(topics), topics), 0)
"""


def test_a_killed_server_has_lost_no_label_and_goes_on(path: Path) -> None:
    for number in range(2):
        command = [sys.executable, "-c", SERVE, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[2]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}/state") as reply:
                known = [item["answer"] for item in json.load(reply)["items"]]
            assert known == [{"topics": ["trade"], "note": ""}] * number + [None] * (3 - number)
            request = urllib.request.Request(
                f"{address}/save",
                json.dumps(answer(f"news:{number}", "trade")).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as reply:
                assert reply.status == 200
            os.kill(server.pid, signal.SIGKILL)
    assert said(path) == [("news:0", "trade", "ann", ""), ("news:1", "trade", "ann", "")]


@pytest.fixture
def address(session: page.Session) -> Iterator[str]:
    """Where the page is really served."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        page.application(session, port), lifespan="off", ws="none", log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium and chromedriver here")
def test_labelling_by_keyboard_in_a_browser(address: str, path: Path, tmp_path: Path) -> None:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{word}")
    # No name is resolved: what needs the network fails.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")
    options.add_argument(f"--user-data-dir={tmp_path / 'browser'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(str(DRIVER))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        wait = WebDriverWait(browser, 20)
        browser.get(address)

        def shown(name: str) -> str:
            return browser.find_element(By.ID, name).text

        def press(keys: str) -> None:
            webdriver.ActionChains(browser).send_keys(keys).perform()

        def comes(name: str, text: str) -> None:
            wait.until(lambda _: text in shown(name))

        comes("text", "Tariffs <b>rose</b> 0 times")  # as text, not as markup
        assert shown("before") == "What came before 0."
        assert shown("heading") == "A heading"
        assert "About trade." in shown("topics") and "50 %" in shown("topics")
        comes("count", "0 of 3 labelled")

        press(Keys.ENTER)
        comes("told", "Choose a topic")
        press("31n")
        press("12 u, why")  # inside the note keys are letters
        press(Keys.ENTER)
        comes("count", "1 of 3 labelled")
        comes("text", "rose</b> 1 times")
        press("s")
        comes("text", "rose</b> 2 times")
        press("10" + Keys.ENTER)  # none takes a chosen topic's place
        comes("count", "2 of 3 labelled")
        comes("text", "rose</b> 1 times")
        expected = [("news:0", "security;trade", "ann", "12 u, why"), ("news:2", "", "ann", "")]
        assert said(path) == expected

        press("u")
        comes("text", "rose</b> 2 times")
        comes("count", "1 of 3 labelled")
        assert said(path) == expected[:1]
        browser.refresh()
        comes("text", "rose</b> 1 times")  # the first that is open
        press(Keys.ARROW_LEFT)
        comes("text", "rose</b> 0 times")
        pressed = browser.find_elements(By.CSS_SELECTOR, '.topic[aria-pressed="true"]')
        assert [button.text.split("\n")[1] for button in pressed] == ["trade", "security"]
        assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]

        # A page from elsewhere cannot write, even when it runs on this machine.
        browser.get("data:text/html,<title>evil</title>")
        browser.execute_script(
            "window.told = 0;"
            "fetch(arguments[0] + '/save', {method: 'POST', mode: 'no-cors', body: arguments[1]})"
            ".finally(() => { window.told = 1; })",
            address,
            json.dumps(answer("news:1", "trade")),
        )
        wait.until(lambda _: browser.execute_script("return window.told"))
        assert said(path) == expected[:1]
    finally:
        browser.quit()
