"""The labelling page: saved votes, refused requests, and the page in a browser."""

from __future__ import annotations

import errno
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from starlette.testclient import TestClient

from paratopic.annotation import labelling_page
from paratopic.annotation.suggestion import Suggestion
from paratopic.inference.model import load
from paratopic.labels.log import read_lines
from paratopic.labels.votes import latest_votes
from paratopic.project.codebook import Change, Kind
from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topic, Topics
from tests import programs
from tests.annotation.suggested import blind, suggestions
from tests.programs import ask, served
from tests.samples import TOPICS

PORT = 8765
HERE = f"http://127.0.0.1:{PORT}"
# Version of the codebook, which the page sends with each action.
SHOWN = {"codebook": labelling_page.codebook_version(TOPICS)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


@pytest.fixture
def session(path: Path) -> labelling_page.Session:
    return session_of(path)


def session_of(path: Path, name: str = "ann") -> labelling_page.Session:
    return labelling_page.Session(path, name, suggestions(TOPICS), lambda: TOPICS)


@pytest.fixture
def client(session: labelling_page.Session) -> TestClient:
    return TestClient(labelling_page.application(session), base_url=HERE)


def votes_in(path: Path) -> list[tuple[str, str, str, str]]:
    return [
        (x.paragraph, x.cell, x.annotator, x.note) for x in latest_votes(read_lines(path), TOPICS)
    ]


def vote(paragraph: str, *topics: str, note: str = "") -> dict[str, Any]:
    return {"id": paragraph, "topics": topics, "note": note} | SHOWN


def test_a_vote_is_in_the_file_before_it_is_confirmed(client: TestClient, path: Path) -> None:
    state = client.get("/state").json()
    assert [item["answer"] for item in state["items"]] == [None] * 3
    assert state["items"][0]["scores"]["technology"] == 0.5
    assert "drawn" not in state["items"][0]  # The page does not show it.
    saved = client.post("/save", json=vote("news:0", "security", "trade", note="why"))
    assert saved.json()["answer"] == {"topics": ["security", "trade"], "note": "why"}
    assert votes_in(path) == [("news:0", "security;trade", "ann", "why")]
    (line,) = read_lines(path)
    assert line.text == "Tariffs <b>rose</b> 0 times on goods that crossed the border"
    client.post("/save", json=vote("news:1"))
    assert votes_in(path)[1] == ("news:1", "", "ann", "")
    state = client.get("/state").json()
    assert [item["answer"] is None for item in state["items"]] == [False, False, True]


def test_undo_brings_back_the_previous_vote(client: TestClient, path: Path) -> None:
    for names in (["trade"], ["security"]):
        client.post("/save", json=vote("news:0", *names))
    undone = client.post("/undo", json=SHOWN).json()
    assert (undone["answer"]["topics"], undone["undone"]["topics"]) == (["trade"], ["security"])
    assert votes_in(path) == [("news:0", "trade", "ann", "")]
    first = {"id": "news:0", "answer": None, "undone": {"topics": ["trade"], "note": ""}}
    assert client.post("/undo", json=SHOWN).json() == first
    assert votes_in(path) == []
    assert client.post("/undo", json=SHOWN).status_code == 409
    assert len(read_lines(path)) == 4  # No line is removed from the file.


@pytest.mark.parametrize("topic", ["security", "trade"])
def test_undo_leaves_the_vote_of_another_window(path: Path, topic: str) -> None:
    one, other = session_of(path), session_of(path)
    one.save(trade("news:0"))
    other.save(labelling_page.Submission(**vote("news:0", topic)))
    with pytest.raises(UserError, match="news:0 .*another window"):
        one.undo(labelling_page.PageAction(**SHOWN))
    assert votes_in(path) == [("news:0", topic, "ann", "")]
    assert one.state()["items"][0]["answer"]["topics"] == (topic,)


def test_undo_brings_back_the_vote_of_another_window_or_an_import(path: Path) -> None:
    one, other = session_of(path), session_of(path)
    one.save(trade("news:1"))
    other.save(labelling_page.Submission(**vote("news:0", "security")))
    assert one.state()["items"][0]["answer"]["topics"] == ("security",)
    one.save(trade("news:0"))
    assert one.undo(labelling_page.PageAction(**SHOWN))["answer"]["topics"] == ("security",)
    assert ("news:0", "security", "ann", "") in votes_in(path)


def test_a_vote_counts_although_the_clock_was_set_back(path: Path) -> None:
    taken_back = "paragraph,topics,annotator,when\nnews:0,?,ann,2999-01-01T00:00:00Z\n"
    path.write_text(taken_back, encoding="utf-8")
    for _ in range(2):
        session_of(path).save(trade("news:0"))
    assert votes_in(path) == [("news:0", "trade", "ann", "")]


def test_votes_that_another_program_removes_are_noticed(
    session: labelling_page.Session, path: Path
) -> None:
    session.save(trade("news:0"))
    before = path.read_bytes()
    session.save(trade("news:1"))
    path.write_bytes(before)  # An editor that was open does this.
    state = session.save(trade("news:2"))["state"]
    assert [item["answer"] is None for item in state["items"]] == [False, True, True]
    assert path.read_bytes() == before
    session.save(trade("news:2"))
    assert [id_ for id_, *_ in votes_in(path)] == ["news:0", "news:2"]


def test_a_vote_that_cannot_be_written_is_not_confirmed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(labelling_page, "append", full)
    response = client.post("/save", json=vote("news:0", "trade"))
    assert response.status_code == 507 and "Not saved: " in response.text
    assert client.get("/state").json()["items"][0]["answer"] is None


def trade(paragraph: str) -> labelling_page.Submission:
    return labelling_page.Submission(id=paragraph, topics=["trade"], note="", **SHOWN)


def test_only_the_annotator_s_own_earlier_votes_are_shown(path: Path) -> None:
    session_of(path).save(trade("news:0"))
    session_of(path, "bo").save(trade("news:1"))
    shown = session_of(path).state()["items"]
    assert [item["answer"] for item in shown] == [{"topics": ("trade",), "note": ""}, None, None]


@pytest.mark.parametrize(
    ("kind", "into", "earlier"),
    [
        ("rename", ["deals"], {"topics": ["deals"], "note": "why"}),
        ("split", ["tariffs", "deals"], None),
        ("drop", [], None),
    ],
)
def test_after_a_change_of_the_codebook_nothing_is_saved_before_it_is_shown(
    path: Path, kind: Kind, into: list[str], earlier: dict[str, Any] | None
) -> None:
    now = [TOPICS]
    session = labelling_page.Session(path, "ann", suggestions(TOPICS), lambda: now[0])
    client = TestClient(labelling_page.application(session), base_url=HERE)
    assert client.get("/state").json()["codebook"] == SHOWN["codebook"]
    client.post("/save", json=vote("news:0", "trade", note="why"))
    now[0] = Change(kind, ("trade",), tuple(into)).topics(TOPICS)
    before = path.read_bytes()
    refused = client.post("/save", json=vote("news:1", "trade")).json()
    state = client.get("/state").json()
    assert refused == {"state": state} == client.post("/undo", json=SHOWN).json()
    assert path.read_bytes() == before
    assert [topic["name"] for topic in state["topics"]] == list(now[0].names)
    assert state["items"][0]["answer"] == earlier
    shown = {"codebook": state["codebook"]}
    assert client.post("/undo", json=shown).status_code == 409
    assert client.post("/save", json=vote("news:1", "security") | shown).json()["answer"]
    assert client.post("/undo", json=shown).json()["answer"] is None


INVALID = [
    vote("news:9", "trade"),
    vote("news:0", "trad"),
    vote("news:0") | {"topics": "trade"},
    {"id": "news:0", "topics": ["trade"], "note": ""},
    vote("news:0", "trade", note="n" * 200_000),
    vote("news:0", "\ud800"),
    vote("\ud800"),
    [],
]


# The client cannot send halves of characters other than as escapes.
@pytest.mark.parametrize(
    "content",
    [*(json.dumps(body).encode() for body in INVALID), b"[" * 100_000, b"9" * 5000, b"\xff"],
)
def test_invalid_votes_are_refused_and_not_saved(
    client: TestClient, path: Path, content: bytes
) -> None:
    sent = {"Content-Type": "application/json"}
    assert client.post("/save", content=content, headers=sent).status_code in (400, 409)
    assert not path.exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"Host": f"evil.example:{PORT}"}, 400),
        ({"Host": f"evil.example:{PORT}", "Origin": f"http://evil.example:{PORT}"}, 400),
        ({"Content-Type": "text/plain"}, 415),
        ({}, 200),
        ({"Origin": HERE}, 200),
        ({"Host": f"localhost:{PORT}", "Origin": f"http://localhost:{PORT}"}, 200),
    ],
)
def test_requests_of_other_pages_are_refused(
    client: TestClient, path: Path, headers: dict[str, str], status: int
) -> None:
    content = json.dumps(vote("news:0", "trade"))
    sent = {"Content-Type": "application/json"} | headers
    assert client.post("/save", content=content, headers=sent).status_code == status
    assert path.exists() == (status == 200)
    if status in {400, 403}:
        for address in ("/", "/state"):
            assert client.get(address, headers=headers).status_code == status


def test_the_page_loads_nothing_from_elsewhere(
    client: TestClient, session: labelling_page.Session
) -> None:
    page = client.get("/")
    assert "http://" not in page.text and "https://" not in page.text and "src=" not in page.text
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"].startswith("'sha256-")
    assert client.get("/gone").headers["content-security-policy"]
    session.read_topics = Mock(side_effect=ZeroDivisionError)  # a programming error
    client = TestClient(client.app, HERE, raise_server_exceptions=False)
    failed = client.get("/state")
    assert failed.status_code == 500 and failed.headers["content-security-policy"]


def test_the_address_is_printed_before_serving(capsys: pytest.CaptureFixture[str]) -> None:
    with labelling_page.listen(0, "t0ken") as listener:
        host, port = listener.getsockname()
        assert f"Label at http://{host}:{port}/t0ken (press" in capsys.readouterr().out
        with pytest.raises(UserError, match=f"port {port} cannot be used"):
            labelling_page.listen(port)
        socket.create_connection((host, port), timeout=5).close()  # The connection waits.


def test_only_an_address_with_the_token_is_answered(
    session: labelling_page.Session, path: Path
) -> None:
    client = TestClient(labelling_page.application(session, "t0ken"), base_url=HERE)
    for address in ("/t0ken", "/t0ken/", "/t0ken/state"):
        assert client.get(address).status_code == 200
    for address in ("/", "/state", "/t0k/state"):
        refused = client.get(address)
        assert refused.status_code == 404 and "the whole address" in refused.text
    assert client.post("/save", json=vote("news:0", "trade")).status_code == 404
    assert not path.exists()


SERVE = """
import sys
from pathlib import Path
from paratopic.annotation.labelling_page import Session, application, listen, serve
from tests.annotation.suggested import suggestions
from tests.samples import TOPICS
session = Session(Path(sys.argv[1]), "ann", suggestions(TOPICS), lambda: TOPICS)
serve(application(session), listen(0))
"""


def test_a_killed_server_loses_no_label_and_can_be_restarted(path: Path) -> None:
    for number in range(2):
        with served(path.parent, sys.executable, "-c", SERVE, str(path)) as address:
            assert address.startswith("http://127.0.0.1:")
            shown = [item["answer"] for item in ask(f"{address}/state")["items"]]
            assert shown == [{"topics": ["trade"], "note": ""}] * number + [None] * (3 - number)
            ask(f"{address}/save", vote(f"news:{number}", "trade"))
    assert votes_in(path) == [("news:0", "trade", "ann", ""), ("news:1", "trade", "ann", "")]


class Browser:
    """The page in Chromium, read by the ids of its elements and driven by its keys."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.wait = driver, WebDriverWait(driver, 20)
        self.address = address
        driver.get(address)
        self.wait_for("count", "labelled")  # Keys do nothing before that.

    def shown(self, name: str) -> str:
        return self.driver.find_element(By.ID, name).text

    def chosen(self) -> list[str]:
        buttons = self.driver.find_elements(By.CSS_SELECTOR, '.topic[aria-pressed="true"]')
        return [button.text.split("\n")[1] for button in buttons]

    def press(self, keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(keys).perform()

    def wait_for(self, name: str, text: str) -> None:
        self.wait.until(lambda _: text in self.shown(name))

    def hidden(self, selector: str, scroll: bool = False) -> list[str]:
        """Texts of a selector's elements that are outside the window, or covered."""
        names: list[str] = self.driver.execute_script(HIDDEN, selector, scroll)
        return names


# The middle of an element and of its four sides (its corners are round) have to show it.
HIDDEN = """
const [selector, scroll] = arguments;
const shows = (element) => {
  if (scroll) element.scrollIntoView({block: "center"});
  const box = element.getBoundingClientRect();
  const places = [[0.5, 0.5], [0.05, 0.5], [0.95, 0.5], [0.5, 0.1], [0.5, 0.9]];
  return box.height > 0 && places.every(([x, y]) => element.contains(
    document.elementFromPoint(box.x + x * box.width, box.y + y * box.height)));
};
const elements = [...document.querySelectorAll(selector)];
return elements.filter((element) => !shows(element)).map((element) => element.textContent);
"""


Open = Callable[[labelling_page.Session], Browser]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    words = "disable-gpu disable-background-networking window-size=1280,900".split()
    with programs.chromium(tmp_path_factory.mktemp("browser"), *words) as driver:
        yield driver


def messages(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    """New messages of the browser's console, but for those about the browser's own pages."""
    log: Any = driver  # selenium has no types for this method
    new: list[dict[str, Any]] = log.get_log("browser")
    return [message for message in new if not message["message"].startswith("chrome://")]


@pytest.fixture
def opened(chromium: webdriver.Chrome) -> Iterator[Open]:
    """Run a server of a session, and open its page."""
    started = []

    def open_page(session: labelling_page.Session) -> Browser:
        listener = socket.create_server(("127.0.0.1", 0))
        app = labelling_page.application(session)
        config = uvicorn.Config(app, lifespan="off", ws="none", log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        started.append((server, thread))
        messages(chromium)  # This removes messages of earlier tests.
        return Browser(chromium, f"http://127.0.0.1:{listener.getsockname()[1]}")

    yield open_page
    for server, thread in started:
        server.should_exit = True
        thread.join()


@pytest.fixture
def browser(opened: Open, session: labelling_page.Session) -> Browser:
    return opened(session)


def test_labelling_by_keyboard_in_a_browser(browser: Browser, path: Path) -> None:
    browser.wait_for("text", "Tariffs <b>rose</b> 0 times")  # as text, not as markup
    assert browser.shown("before") == "What came before 0."
    assert browser.shown("heading") == "A heading"
    assert "About trade." in browser.shown("topics") and "50 %" in browser.shown("topics")
    browser.wait_for("count", "0 of 3 labelled")

    browser.press("n")
    browser.press("12 u, 3 or 0? so" + Keys.ENTER)  # Keys are letters in the note.
    browser.wait_for("message", "Choose a topic first")
    browser.press("31" + Keys.ENTER)  # Enter has left the note.
    browser.wait_for("count", "1 of 3 labelled")
    browser.wait_for("text", "rose</b> 1 times")
    browser.press("s")
    browser.wait_for("text", "rose</b> 2 times")
    browser.press("10" + Keys.ENTER)  # 0 replaces the chosen topic.
    browser.wait_for("count", "2 of 3 labelled")
    browser.wait_for("text", "rose</b> 1 times")
    first = ("news:0", "security;trade", "ann", "12 u, 3 or 0? so")
    assert votes_in(path) == [first, ("news:2", "", "ann", "")]

    browser.press("u")
    browser.wait_for("text", "rose</b> 2 times")
    browser.wait_for("count", "1 of 3 labelled")
    assert votes_in(path) == [first]
    browser.driver.refresh()
    browser.wait_for("count", "labelled")
    browser.wait_for("text", "rose</b> 1 times")  # It is the first unlabelled one.
    browser.press(Keys.ARROW_LEFT)
    browser.wait_for("text", "rose</b> 0 times")
    assert browser.chosen() == ["trade", "security"]
    assert messages(browser.driver) == []


def test_once_all_is_labelled_nothing_changes_before_a_paragraph_is_opened(
    browser: Browser, path: Path
) -> None:
    browser.press(Keys.ENTER.join("123") + Keys.ENTER)  # Keys wait until a vote is saved.
    browser.wait_for("message", "All paragraphs")
    browser.press("2n0" + Keys.ENTER)
    topic = browser.driver.find_element(By.CSS_SELECTOR, ".topic")
    webdriver.ActionChains(browser.driver).move_to_element(topic).click().perform()
    assert browser.chosen() == ["security"]
    browser.driver.refresh()
    browser.wait_for("message", "All paragraphs")
    browser.press("2" + Keys.ENTER)
    expected = ["trade", "technology", "security"]
    assert [cell for _, cell, _, _ in votes_in(path)] == expected
    assert len(read_lines(path)) == 3
    browser.press("u")
    browser.wait_for("message", "Undone")
    browser.press("32" + Keys.ENTER)
    browser.wait_for("message", "All paragraphs")
    browser.press(Keys.ARROW_LEFT)
    browser.wait_for("place", "2 / 3")
    browser.press("1" + Keys.ENTER)
    browser.wait_for("message", "All paragraphs")
    expected = ["trade", "technology;trade", "technology"]
    assert [cell for _, cell, _, _ in votes_in(path)] == expected


@pytest.mark.parametrize("wide", [((1400, 757), 77)], indirect=True)
def test_one_of_many_topics_is_chosen_by_its_name(wide: Browser, path: Path) -> None:
    assert wide.hidden("#filter, #note, #answer button") == []
    wide.press("/")
    wide.press("topic 7")  # Keys are letters in the filter.
    assert wide.shown("topics").count("a topic with number") == 14  # 7, 17 … 67, 70 … 76
    wide.press("6" + Keys.ENTER)
    wide.press("a")
    assert wide.chosen() == ["a topic with number 9", "a topic with number 76"]
    wide.press("/")
    wide.press("none of" + Keys.ESCAPE)
    assert wide.shown("topics").count("a topic with number") == 77
    wide.press(Keys.ENTER)
    wide.wait_for("count", "1 of 2 labelled")
    cell = "a topic with number 76;a topic with number 9"
    assert votes_in(path) == [("news:0", cell, "ann", "")]


def test_the_page_shows_a_changed_codebook_before_it_saves(opened: Open, path: Path) -> None:
    now = [TOPICS]
    browser = opened(labelling_page.Session(path, "ann", suggestions(TOPICS), lambda: now[0]))
    browser.press(Keys.ARROW_RIGHT + "1n")
    browser.press("why")
    now[0] = Change("split", ("trade",), ("tariffs", "deals")).topics(TOPICS)
    browser.press(Keys.ENTER)
    browser.wait_for("message", "Not saved")
    assert browser.chosen() == [] and not path.exists()
    assert "tariffs" in browser.shown("topics")
    browser.wait_for("text", "rose</b> 1 times")
    browser.press(Keys.ESCAPE)
    browser.press("2" + Keys.ENTER)
    browser.wait_for("count", "1 of 3 labelled")
    assert votes_in(path) == [("news:1", "deals", "ann", "why")]
    assert messages(browser.driver) == []


def test_undo_gives_the_chosen_topics_and_the_note_back(browser: Browser, path: Path) -> None:
    browser.press("31n")
    browser.press("why" + Keys.ENTER)
    browser.wait_for("count", "1 of 3 labelled")
    browser.press("u")
    browser.wait_for("message", "Undone")
    assert browser.chosen() == ["trade", "security"] and votes_in(path) == []
    browser.press("3" + Keys.ENTER)  # This removes a topic.
    browser.wait_for("count", "1 of 3 labelled")
    assert votes_in(path) == [("news:0", "trade", "ann", "why")]
    browser.press(Keys.ARROW_LEFT)
    browser.press("12" + Keys.ENTER)
    browser.wait_for("text", "rose</b> 1 times")
    browser.press("u")
    browser.wait_for("message", "Undone")
    assert browser.chosen() == ["technology"]
    assert votes_in(path) == [("news:0", "trade", "ann", "why")]


TWO_SENTENCES = "It rained 🌧 on the talks. The tariff on goods and the quota rose <b>again</b>."


@pytest.fixture
def explained(path: Path, topics: Topics, baseline_folder: Path) -> labelling_page.Session:
    """A session with a model that explains, whose second paragraph is shown without suggestions."""
    model = load(baseline_folder)
    items = [replace(item, text=TWO_SENTENCES) for item in suggestions(topics)]
    prediction = model.predict(TWO_SENTENCES)
    scores, predicted = prediction.scores, prediction.topics
    items = [replace(item, scores=scores, topics=predicted) for item in items]
    items[1:2] = blind(items[1:2])
    return labelling_page.Session(
        path, "ann", items, lambda: topics, lambda _: model.explain(TWO_SENTENCES)
    )


def test_why_is_answered_where_the_suggestion_is_shown(
    session: labelling_page.Session, explained: labelling_page.Session, baseline_folder: Path
) -> None:
    client = TestClient(labelling_page.application(explained), base_url=HERE)
    explained.explain = explain = Mock(wraps=explained.explain)
    why = client.get("/why", params={"paragraph": "news:0"}).json()
    assert why["topic"] == "trade"
    explain.assert_called_once_with("news:0")
    rain, tariffs = load(baseline_folder).explain(TWO_SENTENCES).sentences
    assert why["sentences"] == [
        {"text": part.text, "share": part.shares["trade"]} for part in (rain, tariffs)
    ]
    for paragraph in ("news:1", "news:9"):  # The first is hidden, the second is unknown.
        assert client.get("/why", params={"paragraph": paragraph}).status_code == 409
    with pytest.raises(UserError, match="hidden"):
        session.why("news:0")  # The session has no explanations.


@pytest.mark.parametrize(
    ("text", "expected"), [("قال الوزير: 3 دول.", "rtl"), ("3 states.", "ltr")]
)
def test_a_text_runs_in_the_direction_of_its_script(
    path: Path, opened: Open, text: str, expected: str
) -> None:
    items = [replace(item, text=text, before=(text,)) for item in suggestions(TOPICS)]
    browser = opened(labelling_page.Session(path, "ann", items, lambda: TOPICS))
    for selector in ("#text", "#before p"):
        direction = f"return getComputedStyle(document.querySelector('{selector}')).direction"
        assert browser.driver.execute_script(direction) == expected


def test_w_shades_the_sentences_that_speak_for_the_suggestion(
    chromium: webdriver.Chrome, opened: Open, explained: labelling_page.Session
) -> None:
    def shades() -> list[float]:
        style = "getComputedStyle(mark).getPropertyValue('--share')"
        marks = "[...document.querySelectorAll('#text mark')]"
        shares: list[float] = chromium.execute_script(f"return {marks}.map(mark => +{style})")
        return shares

    browser = opened(explained)
    assert shades() == []
    browser.press("w")
    browser.wait_for("message", "trade")
    rain, tariffs = shades()
    expected = explained.why("news:0")["sentences"][1]["share"]
    assert rain < tariffs == pytest.approx(min(1, expected))
    assert browser.shown("text") == TWO_SENTENCES
    drawn = "getComputedStyle(document.querySelectorAll('mark')[1]).backgroundColor"
    assert chromium.execute_script(f"return {drawn}") != "rgba(0, 0, 0, 0)"
    browser.press("w")
    browser.wait.until(lambda _: shades() == [])
    button = chromium.find_element(By.ID, "why")
    chromium.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    browser.wait.until(lambda _: len(shades()) == 2)
    browser.press(Keys.ARROW_RIGHT)  # The next suggestion is hidden.
    browser.wait_for("model", "No prediction is shown")
    browser.press("w" + Keys.ARROW_LEFT)
    browser.wait_for("place", "1 / 3")
    assert shades() == []  # Shades need a new request.
    assert not browser.shown("message")
    browser.press(Keys.ARROW_RIGHT)
    browser.wait_for("place", "2 / 3")
    assert not chromium.find_element(By.ID, "why").is_displayed()
    assert messages(chromium) == []


def test_paragraphs_are_searched_and_filtered_by_keyboard(
    opened: Open, path: Path, chromium: webdriver.Chrome
) -> None:
    scores = dict(zip(TOPICS.names, (0.7, 0.2, 0.1), strict=True))
    one, two, three, four = suggestions(TOPICS, 4)
    items = [
        replace(one, scores=scores),
        replace(two, text="The Stra\u00dfe."),
        replace(three, article="post", scores=scores),
        replace(four, text="Ha\ufb00er.", drawn="1 of 9"),
    ]
    browser = opened(labelling_page.Session(path, "ann", items, lambda: TOPICS))
    browser.press("f" + "haffer")  # A ligature equals its letters.
    browser.wait_for("place", "1 / 1 found")
    browser.wait_for("text", "Ha")
    browser.wait_for("sample", "drawn")
    browser.press(Keys.ENTER + "2" + Keys.ENTER)
    browser.wait_for("message", "Press f")
    browser.press("f")  # This ends the search.
    browser.wait_for("place", "4 / 4")
    assert not chromium.find_element(By.ID, "search").is_displayed()
    browser.press("f" + Keys.TAB * 2 + "perhaps trade")  # Selects choose by typed text.
    browser.wait_for("place", "1 / 2 found")
    browser.press(Keys.ENTER + "1" + Keys.ENTER)
    browser.wait_for("count", "2 of 4 labelled")
    browser.wait_for("place", "2 / 2 found")
    browser.press(Keys.ARROW_RIGHT)
    browser.wait_for("place", "\u2713 1 / 2 found")
    browser.press("ff" + Keys.TAB + "post")
    browser.wait_for("place", "1 / 1 found")
    browser.press(Keys.ESCAPE + "ff" + Keys.TAB * 3 + "not l")
    browser.wait_for("place", "/ 2 found")
    browser.press(Keys.ESCAPE + "ffzebra")
    browser.wait_for("message", "No paragraph")
    browser.press(Keys.ESCAPE)
    browser.wait_for("place", "/ 4")
    assert [line.drawn for line in read_lines(path)] == ["1 of 9", ""]
    assert messages(chromium) == []


@pytest.mark.parametrize(
    ("mode", "predicted", "sure", "message"),
    [
        ("single", ["technology"], True, "technology.* is sure"),
        ("single", ["technology"], False, "technology.* not sure"),
        ("single", [], False, "no topic"),
        ("multi", ["technology", "security"], False, "technology and security"),
        ("single", None, False, "No prediction is shown"),
    ],
)
def test_the_page_says_what_the_model_predicts_and_whether_it_is_sure(
    opened: Open, path: Path, mode: ModeName, predicted: list[str] | None, sure: bool, message: str
) -> None:
    items = suggestions(TOPICS)
    if predicted is None:
        items = blind(items)
    else:
        items = [replace(item, topics=tuple(predicted), sure=sure) for item in items]
    browser = opened(labelling_page.Session(path, "ann", items, lambda: replace(TOPICS, mode=mode)))
    assert re.search(message, browser.shown("model"))
    assert ("%" in browser.shown("topics")) == (predicted is not None)
    browser.press("?")
    browser.wait_for("keys", "write a note")
    assert ("bars" in browser.shown("keys")) == (predicted is not None)
    browser.press("1?")  # The help is open.
    browser.wait.until(lambda _: not browser.shown("keys"))
    assert browser.chosen() == []


DEFINITION = (
    "Commerce between countries and the rules for it: tariffs and duties, market access, "
    "subsidies, supply chains, exports and imports, unfair trade practices and trade deals. "
    "In: retaliation with tariffs, and the cost of tariffs to firms and consumers. "
    "Out: limits on technology or on a technology company for reasons of data or security."
)
LONG = (
    20 * "The ministers agreed, after weeks of letters, to begin with duties on steel and timber. "
)


@pytest.fixture
def wide(
    request: pytest.FixtureRequest, chromium: webdriver.Chrome, opened: Open, path: Path
) -> Iterator[Browser]:
    """The page with a long paragraph in a window of (width, height), with so many topics."""
    (width, height), n_topics = request.param
    names = [f"a topic with number {n}" for n in range(n_topics)]
    scores = dict.fromkeys(names, 0.1)
    item = Suggestion("news:0", "news", "A heading", LONG, (LONG, LONG), (LONG,), scores)
    topics = Topics("single", tuple(Topic(name, f"{name}: {DEFINITION}") for name in names))
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    unused: Any = print  # It only makes the button visible.
    items = [item, replace(item, id="news:1")]
    yield opened(labelling_page.Session(path, "ann", items, lambda: topics, unused))
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("wide", [((1400, 757), 9), ((1920, 1080), 4)], indirect=True)
def test_topics_and_save_are_in_view_without_scrolling(wide: Browser) -> None:
    buttons = "#answer button, nav button, #help, #fold, #why"
    assert wide.hidden(f".topic, #note, #model, {buttons}") == []
    top = "return document.getElementById('text').getBoundingClientRect().top / innerHeight"
    assert 0 < wide.driver.execute_script(top) < 0.5  # A long paragraph is before it.
    wide.press("1" + Keys.ENTER)
    wide.wait_for("count", "1 of 2 labelled")
    assert wide.hidden(".topic, #note, #answer button") == []
    # Unfolded definitions scroll next to Save, not below it.
    if "Out:" not in wide.shown("topics"):  # The definitions are folded.
        wide.press("d")
    wide.wait_for("topics", "Out: limits on technology")
    assert wide.hidden("#note, #answer button") == []
    assert wide.hidden(".topic .row", scroll=True) == []


@pytest.mark.parametrize("wide", [((400, 800), n) for n in (4, 77)], indirect=True)
def test_the_page_can_be_used_400_pixels_wide(wide: Browser, path: Path) -> None:
    assert wide.driver.execute_script("return document.documentElement.scrollWidth") == 400
    first_topics = ".topic:nth-child(-n + 4)"
    assert wide.hidden(f"{first_topics}, #model, #why, #note, #answer button, nav button") == []
    top = "return document.getElementById('text').getBoundingClientRect().top"
    assert 0 < wide.driver.execute_script(top) < 300
    assert not any(k.is_displayed() for k in wide.driver.find_elements(By.TAG_NAME, "kbd"))
    wide.driver.find_elements(By.CSS_SELECTOR, ".topic")[1].click()
    assert wide.hidden(".topic", scroll=True) == []
    wide.driver.find_element(By.ID, "save").click()
    wide.wait_for("count", "1 of 2 labelled")
    assert votes_in(path) == [("news:0", "a topic with number 1", "ann", "")]
