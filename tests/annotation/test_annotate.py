"""The command `paratopic annotate`: its files, output and requests, also if it is killed."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from paratopic.annotation import chat
from paratopic.labels.log import Label, append, read_lines
from paratopic.project.files import Paths
from tests.annotation.chat_server import Serve, Server, reply
from tests.programs import Cli, run_cli
from tests.samples import copy_settings, paragraph_table, write_labelled

LABELS = Path("seeds/labels.csv")
KEY = "sk-secret"
# Modules that are imported once, so that each run starts fast.
PRELOADED = [__name__, "paratopic.cli.app"] + [
    f"paratopic.{name}" for name in ("annotation.asking", "annotation.suggestion", "corpus.table")
]


def script(text: str, body: dict[str, Any], number: int) -> bytes:
    return reply('{"topic": "trade"}' if "3" in text else '{"topic": "security"}')


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(script)


def start_project() -> None:
    copy_settings(Path())


@pytest.fixture(autouse=True)
def project(here: Path) -> None:
    """A project of 40 paragraphs, two of which have a hand label."""
    start_project()
    people = "p37,trade,,ann\np38,security,,ann\n"
    LABELS.write_text(f"paragraph,topics,text,annotator\n{people}", encoding="utf-8")
    write_texts([f"p{number:02}" for number in range(40)])


def write_texts(ids: list[str]) -> None:
    sources = ["hand" if id_ in ("p37", "p38") else "none" for id_ in ids]
    texts = [f"text {id_}" for id_ in ids]
    write_labelled(paragraph_table(id=ids, text=texts, label_source=sources))


def options(server: Server, *more: str) -> list[str]:
    return ["annotate", "--url", server.url, "--model", "m", *more]


def votes() -> list[Label]:
    return [line for line in read_lines(LABELS) if line.annotator == "llm-m"]


def test_votes_are_lines_and_paragraphs_with_a_hand_label_come_first(
    server: Server, cli: Cli
) -> None:
    printed = cli(*options(server, "--n", "2"))
    assert "2 paragraphs" in printed and str(Paths().prompt) in printed and Paths().prompt.exists()
    lines = votes()
    assert {line.paragraph for line in lines} == {"p37", "p38"}
    assert {line.names for line in lines} == {("trade",)}  # Both have a 3 in their text.
    assert len({dict(line.more)["prompt"] for line in lines}) == 1
    cli(*options(server, "--n", "5"))
    drawn = votes()[2:]
    assert [line.draw for line in drawn] == ["paragraph"] * 5
    assert {line.paragraph for line in drawn}.isdisjoint({"p37", "p38"})
    assert set(server.asked.values()) == {1}


def test_the_key_is_sent_and_neither_printed_nor_written(
    server: Server, monkeypatch: pytest.MonkeyPatch, cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(chat.KEY, KEY)
    printed = cli(*options(server, "--n", "5"))
    # A server on this machine needs no note that texts leave it.
    assert "leave" not in printed + caplog.text
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    files = b"".join(path.read_bytes() for path in Path().rglob("*") if path.is_file())
    assert KEY not in printed + caplog.text and KEY.encode() not in files


def test_an_estimate_and_a_small_budget_send_little(server: Server, cli: Cli) -> None:
    assert "40 paragraphs" in cli(*options(server, "--estimate"))
    assert not server.asked
    printed = cli(*options(server, "--budget", "4000", "--concurrency", "1"))
    assert 0 < server.asked.total() < 20
    assert f"other {40 - len(votes())}" in printed


def test_another_machine_is_announced_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("paratopic.cli.annotate.ask_all", lambda *rest: iter(()))
    with caplog.at_level(logging.WARNING):
        run_cli(monkeypatch, "annotate", "--url", "https://llm.example/v1", "--model", "m")
    assert "llm.example" in caplog.text


def test_an_annotator_that_would_count_as_a_person_is_refused(server: Server, cli: Cli) -> None:
    params = Path("params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(params.replace("weak: [llm-*]", "weak: []"), encoding="utf-8")
    assert "person" in cli(*options(server), status=1)
    assert not server.asked


def test_paragraphs_without_a_vote_are_asked_about_again_after_all_others(
    serve: Serve, cli: Cli
) -> None:
    def empty(text: str, body: dict[str, Any], number: int) -> bytes:
        fails = text in ("text p37", "text p38") and number == 1
        return reply("" if fails else '{"topic": "trade"}')

    server = serve(empty)
    words = options(server, "--concurrency", "1")
    cli(*words, "--n", "3")
    failed = [line for line in votes() if line.cell == "?"]
    assert [line.paragraph for line in failed] == ["p37", "p38"]
    cli(*words)
    assert [line.paragraph for line in votes()[-2:]] == ["p37", "p38"]
    assert "every paragraph" in cli(*words)
    assert server.asked.total() == 42 and len({line.paragraph for line in votes()}) == 40


def test_a_model_without_a_valid_reply_ends_the_run(serve: Serve, cli: Cli) -> None:
    server = serve(lambda text, body, number: reply(""))
    printed = cli(*options(server, "--concurrency", "1"), status=1)
    assert "empty answer" in printed
    assert server.asked.total() == len(votes()) == 10


def test_a_budget_holds_where_questions_take_more_than_expected(serve: Serve, cli: Cli) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 200}
    choice = {"message": {"content": '{"topic": "trade"}'}}
    dear = json.dumps({"choices": [choice], "usage": usage}).encode()
    server = serve(lambda text, body, number: dear)
    cli(*options(server, "--budget", "12000"))
    assert 6 <= server.asked.total() <= 10


def test_an_interrupt_while_a_vote_is_written_loses_none(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from paratopic.cli import annotate

    def interrupted(path: Path, line: Label) -> None:
        if not votes():
            signal.raise_signal(signal.SIGINT)
        append(path, line)

    monkeypatch.setattr(annotate, "append", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with caplog.at_level(logging.WARNING):
        assert run_cli(monkeypatch, *options(server, "--concurrency", "4")) == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)
    assert "stopped" in caplog.text
    assert 0 < len(votes()) == server.asked.total() <= 5


def _run(words: list[str], folder: str) -> None:
    from paratopic.cli import app

    os.chdir(folder)
    sys.argv = ["paratopic", *words]
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        app.main()


def kill_again_and_again(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill some runs in a project, then start others until every paragraph has a vote.

    A killed run's open requests are sent again, because their replies are unknown. Written votes
    must be neither lost nor asked for again.

    Returns
    -------
    Numbers of paragraphs, of killed runs, of lost votes, of paragraphs with two votes, and of
    paragraphs that were asked about although they had a vote.
    """

    def late(text: str, body: dict[str, Any], number: int) -> bytes:
        time.sleep(0.005)
        return script(text, body, number)

    # The killed runs cannot finish so many paragraphs.
    n = 5 * kills
    ids = [f"p{number:04}" for number in range(n)]
    write_texts(ids)
    LABELS.write_text("paragraph,topics,text,annotator\n", encoding="utf-8")
    rng, context = random.Random(seed), multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    server, counts, known, is_done = Server(late), Counter(paragraphs=n), set[str](), False
    while not is_done:
        asked = Counter(server.asked)
        run = context.Process(target=_run, args=(options(server, "--n", "10000"), str(folder)))
        run.start()
        if counts["killed"] < kills:
            # The run is killed soon after its first request.
            while server.asked == asked and run.is_alive():
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.03))
            if run.is_alive():
                os.kill(run.pid or 0, signal.SIGKILL)
        run.join(60)
        counts["killed"] += run.exitcode == -signal.SIGKILL
        again = {text.removeprefix("text ") for text in server.asked - asked}
        counts["asked twice"] += len(again & known)
        ids = [line.paragraph for line in votes()]
        counts["lost"] += len(known.difference(ids))
        counts["doubled"] += len(ids) - len(set(ids))
        is_done, known = run.exitcode == 0 and known == set(ids), set(ids)
    server.close()
    counts["lost"] += n - len(known)
    return counts


def test_a_run_that_is_killed_loses_no_vote_and_asks_nothing_twice() -> None:
    counts = kill_again_and_again(Path.cwd(), 10, 0)
    assert +counts == Counter(paragraphs=50, killed=10)
