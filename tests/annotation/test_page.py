"""The labelling page: what it saves, which requests it refuses, and how it works in a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
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


def answers_in(path: Path) -> list[tuple[str, str, str, str]]:
    return [(x.paragraph, x.cell, x.annotator, x.note) for x in read_labels(path)]


def answer(paragraph: str, *topics: str, note: str = "") -> dict[str, Any]:
    return {"id": paragraph, "topics": topics, "note": note}


def test_an_answer_is_in_the_file_before_it_is_confirmed(client: TestClient, path: Path) -> None:
    state = client.get("/state").json()
    assert [item["answer"] for item in state["items"]] == [None] * 3
    assert state["items"][0]["topic"] == "technology"
    saved = client.post("/save", json=answer("news:0", "security", "trade", note="why"))
    assert saved.json()["answer"] == {"topics": ["security", "trade"], "note": "why"}
    assert answers_in(path) == [("news:0", "security;trade", "ann", "why")]
    (line,) = read_lines(path)
    assert line.text == "Tariffs <b>rose</b> 0 times on goods that crossed the border"
    client.post("/save", json=answer("news:1"))
    assert answers_in(path)[1] == ("news:1", "", "ann", "")
    state = client.get("/state").json()
    assert [item["answer"] is None for item in state["items"]] == [False, False, True]


def test_undo_brings_back_the_answer_before(client: TestClient, path: Path) -> None:
    for names in (["trade"], ["security"]):
        client.post("/save", json=answer("news:0", *names))
    assert client.post("/undo", json={}).json()["answer"]["topics"] == ["trade"]
    assert answers_in(path) == [("news:0", "trade", "ann", "")]
    assert client.post("/undo", json={}).json() == {"id": "news:0", "answer": None}
    assert answers_in(path) == []
    assert client.post("/undo", json={}).status_code == 409
    assert len(read_lines(path)) == 4  # no line is removed from the file


def test_only_the_annotator_s_own_earlier_answers_are_shown(path: Path, topics: Topics) -> None:
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
def test_invalid_answers_are_refused_and_not_saved(
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
def test_requests_of_other_pages_are_refused(
    client: TestClient, path: Path, headers: dict[str, str], status: int
) -> None:
    content = json.dumps(answer("news:0", "trade"))
    sent = {"Content-Type": "application/json"} | headers
    assert client.post("/save", content=content, headers=sent).status_code == status
    assert path.exists() == (status == 200)
    if status == 403:
        for address in ("/", "/state"):
            assert client.get(address, headers=headers).status_code == 403


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert "http://" not in page.text and "https://" not in page.text and "src=" not in page.text
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"].startswith("'sha256-")
    assert client.get("/gone").headers["content-security-policy"]


def test_a_port_in_use_is_an_error(session: page.Session) -> None:
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


def test_a_killed_server_loses_no_label_and_can_be_restarted(path: Path) -> None:
    for number in range(2):
        command = [sys.executable, "-c", SERVE, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[2]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}/state") as reply:
                shown = [item["answer"] for item in json.load(reply)["items"]]
            assert shown == [{"topics": ["trade"], "note": ""}] * number + [None] * (3 - number)
            request = urllib.request.Request(
                f"{address}/save",
                json.dumps(answer(f"news:{number}", "trade")).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as reply:
                assert reply.status == 200
            os.kill(server.pid, signal.SIGKILL)
    assert answers_in(path) == [("news:0", "trade", "ann", ""), ("news:1", "trade", "ann", "")]


@pytest.fixture
def address(session: page.Session) -> Iterator[str]:
    """Address of a running server."""
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


class Browser:
    """The page in Chromium, read by the ids of its elements and driven by its keys."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.wait = driver, WebDriverWait(driver, 20)
        driver.get(address)
        self.wait_for("count", "labelled")  # before the paragraphs are there, keys do nothing

    def shown(self, name: str) -> str:
        return self.driver.find_element(By.ID, name).text

    def press(self, keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(keys).perform()

    def wait_for(self, name: str, text: str) -> None:
        self.wait.until(lambda _: text in self.shown(name))


@pytest.fixture
def browser(address: str, tmp_path: Path) -> Iterator[Browser]:
    if not (BROWSER and DRIVER):
        pytest.skip("there is no chromium and chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{word}")
    # No name is resolved, so that anything that needs the network fails.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")
    options.add_argument(f"--user-data-dir={tmp_path / 'browser'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    try:
        yield Browser(driver, address)
    finally:
        driver.quit()


def test_labelling_by_keyboard_in_a_browser(browser: Browser, path: Path) -> None:
    browser.wait_for("text", "Tariffs <b>rose</b> 0 times")  # as text, not as markup
    assert browser.shown("before") == "What came before 0."
    assert browser.shown("heading") == "A heading"
    assert "About trade." in browser.shown("topics") and "50 %" in browser.shown("topics")
    browser.wait_for("count", "0 of 3 labelled")

    browser.press(Keys.ENTER)
    browser.wait_for("message", "Choose a topic")
    browser.press("31n")
    browser.press("12 u, why")  # in the note, keys are letters
    browser.press(Keys.ENTER)
    browser.wait_for("count", "1 of 3 labelled")
    browser.wait_for("text", "rose</b> 1 times")
    browser.press("s")
    browser.wait_for("text", "rose</b> 2 times")
    browser.press("10" + Keys.ENTER)  # none of the topics replaces a chosen topic
    browser.wait_for("count", "2 of 3 labelled")
    browser.wait_for("text", "rose</b> 1 times")
    expected = [("news:0", "security;trade", "ann", "12 u, why"), ("news:2", "", "ann", "")]
    assert answers_in(path) == expected

    browser.press("u")
    browser.wait_for("text", "rose</b> 2 times")
    browser.wait_for("count", "1 of 3 labelled")
    assert answers_in(path) == expected[:1]
    browser.driver.refresh()
    browser.wait_for("text", "rose</b> 1 times")  # the first without an answer
    browser.press(Keys.ARROW_LEFT)
    browser.wait_for("text", "rose</b> 0 times")
    pressed = browser.driver.find_elements(By.CSS_SELECTOR, '.topic[aria-pressed="true"]')
    assert [button.text.split("\n")[1] for button in pressed] == ["trade", "security"]
    assert browser.driver.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_a_page_from_elsewhere_cannot_save_answers(
    browser: Browser, address: str, path: Path
) -> None:
    browser.press("1" + Keys.ENTER)
    browser.wait_for("count", "1 of 3 labelled")
    browser.driver.get("data:text/html,<title>evil</title>")
    browser.driver.execute_script(
        "window.done = 0;"
        # A browser may hold such a request back for ever, to ask the person first.
        "const signal = AbortSignal.timeout(5000);"
        "const request = {method: 'POST', mode: 'no-cors', body: arguments[1], signal};"
        "fetch(arguments[0] + '/save', request).finally(() => { window.done = 1; })",
        address,
        json.dumps(answer("news:1", "trade")),
    )
    browser.wait.until(lambda _: browser.driver.execute_script("return window.done"))
    assert answers_in(path) == [("news:0", "trade", "ann", "")]
