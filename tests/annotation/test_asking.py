"""A language model on a server with valid and invalid replies."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from paratopic.annotation import chat as chat_module
from paratopic.annotation.asking import DEFAULT, Prompt, Vote, ask_all, read_prompt
from paratopic.annotation.chat import BadReply, Chat
from paratopic.annotation.suggestion import Suggestion
from paratopic.project.errors import UserError
from paratopic.project.topics import Topic, Topics
from tests.annotation.chat_server import CUT, Serve, Server, reply

TOPICS = Topics("single", (Topic("trade", "Tariffs."), Topic("security", "Troops.")))


def item(text: str) -> Suggestion:
    return Suggestion(f"a:{text}", "a", "", text, (), ())


def ask(server: Server, *texts: str, timeout: float = 5, **more: Any) -> dict[str, Vote]:
    chat = Chat(server.url, "m", more.pop("key", None), timeout)
    arguments: dict[str, Any] = {"concurrency": 3, "may_ask": lambda: True} | more
    votes = ask_all(chat, Prompt(DEFAULT, TOPICS), list(map(item, texts)), **arguments)
    return {vote.item.text: vote for vote in votes}


def test_replies_are_read_with_their_confidence_and_tokens(serve: Serve) -> None:
    logs = {"content": [{"logprob": -0.1}, {"logprob": -0.2}]}

    def script(text: str, body: dict[str, Any], number: int) -> bytes:
        assert body["response_format"]["type"] == "json_schema" and body["logprobs"]
        choice = {"message": {"content": '{"topic": "trade"}'}, "logprobs": logs}
        usage = {"prompt_tokens": 90, "completion_tokens": 7}
        return json.dumps({"choices": [choice], "usage": usage}).encode()

    vote = ask(serve(script), "goods")["goods"]
    assert vote.topics == ("trade",) and vote.tokens == (90, 7)
    assert vote.confidence == pytest.approx(0.7408, abs=1e-3)


@pytest.mark.parametrize("count", ["many", None, -1000, 1.5, True])
def test_an_invalid_count_of_tokens_is_replaced_by_an_estimate(serve: Serve, count: object) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": count}
    choice = {"message": {"content": '{"topic": "trade"}'}}
    content = json.dumps({"choices": [choice], "usage": usage}).encode()
    vote = ask(serve(lambda text, body, number: content), "goods")["goods"]
    assert vote.topics == ("trade",) and vote.tokens[0] > 20 and vote.tokens[1] == 5


def test_replies_that_were_cut_off_are_paid_for(serve: Serve) -> None:
    def script(text: str, body: dict[str, Any], number: int) -> bytes:
        content = reply('{"topic": "trade"}')
        return content if text == "first" or number > 2 else content + CUT

    votes = ask(serve(script), "first", "third")
    assert votes["third"].topics == ("trade",)
    n_read, n_written = votes["first"].tokens
    assert votes["third"].tokens == (3 * n_read, n_written)


WRONG: dict[str, bytes | int] = {
    "outside the list": reply('{"topic": "weather"}'),
    "two topics": reply('{"topic": ["trade", "security"]}'),
    "in a sentence": reply("I think it is about trade or so."),
    "refusal": reply(None, refusal="I cannot help with that."),
    "empty": reply("  "),
    "html": b"<html><body>502</body></html>",
    "no choices": b'{"error": "overloaded"}',
    "other json": b"[[[[",
    "nested": b"[" * 100_000,
    "too long": b"x" * 3_000_000,
    "a number": reply('{"topic": 7}'),
    "a claim": reply('{"topic": "trade 95 %"}'),
    "bad request": 400,
}


def test_an_invalid_reply_is_an_error_and_the_others_go_on(serve: Serve) -> None:
    right = reply('{"topic": "security"}')
    server = serve(lambda text, body, number: WRONG.get(text, right))
    votes = ask(server, *WRONG, "right")
    assert votes["right"].topics == ("security",)
    for text in WRONG:
        assert votes[text].topics is None and votes[text].problem, text
        # An invalid reply costs tokens, and a refused request does not.
        assert (votes[text].tokens[0] > 0) == (text != "bad request"), text
        assert server.asked[text] <= 4  # two forms of request, each repeated once


@pytest.mark.parametrize(
    "text",
    ['{"topic": "trade"}', '```json\n{"topic": "Trade"}\n```', "trade", '"trade".', " TRADE\n"],
)
def test_one_topic_is_read_in_whatever_form_it_comes(text: str) -> None:
    assert Prompt(DEFAULT, TOPICS).read(text) == ("trade",)


def test_a_name_is_read_as_it_is_written_before_one_that_is_like_it() -> None:
    prompt = Prompt(DEFAULT, Topics("single", ("U.S.", "Trade", "trade")))
    for name in prompt.topics.names:
        assert prompt.read(json.dumps({"topic": name})) == (name,)
    assert prompt.read("u.s") == ("U.S.",)
    with pytest.raises(BadReply, match="not in the codebook"):
        prompt.read("TRADE")


def test_none_of_the_topics_is_valid_and_several_have_the_order_of_the_codebook() -> None:
    several = Prompt(DEFAULT, Topics("multi", TOPICS.codebook))
    assert Prompt(DEFAULT, TOPICS).read('{"topic": "none of the topics"}') == ()
    assert several.read('{"topics": "none of the topics"}') == ()
    assert several.read('{"topics": ["security", "trade"]}') == ("trade", "security")


@pytest.mark.parametrize(
    "replies", [[reply("Trade, I believe."), reply("trade")], [429, 503, reply("trade")]]
)
def test_an_invalid_reply_and_a_busy_server_are_asked_again(serve: Serve, replies: Any) -> None:
    server = serve(lambda text, body, number: replies[number - 1])
    assert ask(server, "goods")["goods"].topics == ("trade",)
    assert server.asked["goods"] == len(replies)


def test_a_server_without_schemas_is_asked_without(serve: Serve) -> None:
    server = serve(lambda _, body, number: 400 if "response_format" in body else reply("trade"))
    votes = ask(server, "one", "two", concurrency=1)
    assert {vote.topics for vote in votes.values()} == {("trade",)}
    assert server.asked == {"one": 2, "two": 1}


def test_a_run_over_quota_keeps_the_votes_before(serve: Serve) -> None:
    server = serve(lambda text, body, number: 429 if text == "third" else reply("trade"))
    chat, texts = Chat(server.url, "m"), []
    items = [item(text) for text in ("first", "second", "third")]
    with pytest.raises(UserError, match="status 429, 6 tries"):
        for vote in ask_all(chat, Prompt(DEFAULT, TOPICS), items, 1, lambda: True):
            texts.append(vote.item.text)
    assert texts == ["first", "second"]


def test_a_slow_server_does_not_hold_the_others_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "TRIES", 1)

    def script(text: str, body: dict[str, Any], number: int) -> bytes:
        time.sleep(2 if text == "slow" else 0)
        return reply("trade")

    with pytest.raises(UserError, match="no answer in 0.3 s"):
        ask(serve(script), "slow", timeout=0.3)


def test_the_key_is_sent_and_shown_nowhere(serve: Serve) -> None:
    server = serve(lambda text, body, number: 401)
    with pytest.raises(UserError) as caught:
        ask(server, "goods", key="sk-secret")
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    shown = str(caught.value) + repr(Chat(server.url, "m", "sk-secret"))
    assert "secret" not in shown
    # A reply may repeat the key.
    server = serve(lambda text, body, number: reply("trade, key sk-secret, SK-SECRET"))
    vote = ask(server, "goods", key="sk-secret")["goods"]
    assert vote.topics is None and "key" in vote.problem
    assert "sk-secret" not in vote.problem.lower()


def test_nothing_of_another_service_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL"):
        monkeypatch.setenv(f"OPENAI_{name}", "https://other.example")
    # Requests to this machine bypass a proxy.
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = serve(lambda text, body, number: reply("trade"))
    assert ask(server, "goods")["goods"].topics == ("trade",)
    assert not any("other.example" in value for value in server.headers[0].values())


def test_a_question_is_not_sent_on_to_another_address(serve: Serve) -> None:
    server = serve(lambda text, body, number: 307)
    with pytest.raises(UserError, match="another address"):
        ask(server, "goods")
    assert server.asked.total() == 1


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x/v1", "127.0.0.1/v1", "http://user:pass@x/v1", "", "http://[::1/v1"),
        *("http://x:y/v1", "http://x/v 1", "http://x/ä"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="--url is the address"):
        Chat(url, "m")


def test_the_prompt_is_a_file_that_people_change(tmp_path: Any) -> None:
    path = tmp_path / "prompt.md"
    first = read_prompt(path, TOPICS)
    assert path.read_text(encoding="utf-8") == DEFAULT
    question = first.question(item("Costs $5 & more"))
    assert "- trade: Tariffs." in question and question.endswith("Costs $5 & more\n")
    path.write_text(f"Be brief.\n{DEFAULT}", encoding="utf-8")
    assert read_prompt(path, TOPICS).digest != first.digest
    for text, message in (
        ("$topics $paragrph", "paragrph"),
        ("$topics $paragraph costs $5", r"a single \$"),
        ("$paragraph", r"\$topics is missing"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            read_prompt(path, TOPICS)
