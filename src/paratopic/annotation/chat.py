"""Send one question to a language model on a server with OpenAI's chat interface.

This module does not know topics, prompts or paragraphs. OpenAI's library retries, waits and sets
time-outs. The key is sent only to the server of the URL, and no message contains it.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

from paratopic.project.errors import UserError

# Tries of a request to a busy server; the library waits between them.
TRIES = 6
# Environment variable with the key of the server.
KEY = "PARATOPIC_LLM_KEY"
# Names of this machine.
LOCAL_HOSTS = "127.0.0.1", "localhost", "[::1]"
# Problem of a reply that has another form than a chat completion.
INVALID_REPLY = "a reply that is no answer of a chat interface"
# Most tokens of a reply.
MAX_TOKENS = 200

Message = Mapping[str, str]


class BadReply(Exception):
    """The server's reply is invalid: the problem, and the tokens read and written to pay for."""

    def __init__(self, problem: str, tokens: tuple[int, int] = (0, 0)) -> None:
        super().__init__(problem)
        self.tokens = tokens


@dataclass(frozen=True)
class Reply:
    """A reply of a language model.

    Parameters
    ----------
    confidence
        Product of the tokens' probabilities, 0 to 1; None if the server does not report them.
    tokens
        Number of tokens read and written; estimated if the server does not count them.
    """

    text: str
    confidence: float | None
    tokens: tuple[int, int]


@dataclass
class Chat:
    """A language model on a server.

    Parameters
    ----------
    url
        Address of the interface, such as http://127.0.0.1:11434/v1.
    key
        Sent as a bearer token; None, the default, sends none.
    timeout
        Seconds that a reply may take; 120 by default.

    Raises
    ------
    UserError
        The URL is invalid.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    _without_schema: bool = field(default=False, init=False)
    # Each thread counts the replies to its question in `n`, also those that were cut off.
    _replies: threading.local = field(default_factory=threading.local, init=False, repr=False)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise UserError(
                "--url is the address of a chat interface, such as http://127.0.0.1:11434/v1, "
                "without a name or password in it"
            )
        # A local server needs no proxy, and a redirect must not send the key to another server.
        direct = {f"all://{host}": None for host in LOCAL_HOSTS}
        hooks = {"response": [self._count_reply]}
        http = openai.DefaultHttpxClient(mounts=direct, follow_redirects=False, event_hooks=hooks)
        self._client = openai.OpenAI(
            base_url=self.url,
            # Without a key, the library would use that of another service in the environment.
            api_key=self.key or "none",
            organization="",
            project="",
            timeout=self.timeout,
            max_retries=TRIES - 1,
            http_client=http,
        )

    @property
    def host(self) -> str:
        """The server's name."""
        return str(urlsplit(self.url).hostname)

    @property
    def is_local(self) -> bool:
        """Whether the server is this machine."""
        return self.host in [name.strip("[]") for name in LOCAL_HOSTS]

    def ask(self, messages: Sequence[Message], schema: Mapping[str, object]) -> Reply:
        """Ask for a reply that follows a JSON schema, and for its confidence.

        The reply is not checked against the schema. If the server refuses this request, it gets the
        question without schema and confidence; once it has replied to that, it gets all questions
        so. Messages have the keys role and content.

        Raises
        ------
        BadReply
            The reply is empty or invalid, or the server or the model refuses this question.
        UserError
            The server cannot be reached, stays too busy, or refuses every question.
        """
        json_schema = {"name": "answer", "strict": True, "schema": schema}
        response_format = {"type": "json_schema", "json_schema": json_schema}
        if self._without_schema:
            return self._send(messages)
        try:
            return self._send(messages, logprobs=True, response_format=response_format)
        except _Refused:  # The server may refuse the schema or the text.
            reply = self._send(messages)
            self._without_schema = True
            return reply

    def _count_reply(self, response: Any) -> None:
        """Count a reply, which has to be paid for even if it is cut off."""
        self._replies.n += response.is_success

    def _send(self, messages: Sequence[Message], **options: object) -> Reply:
        """Send one request, which has `options` as further fields, and read the reply.

        The errors are those of `ask`. The `BadReply` is `_Refused` if the status means that the
        server would refuse this request again, such as 400.
        """
        request = {"model": self.model, "messages": list(messages), "temperature": 0.0, **options}
        read = estimate(sum(len(message["content"]) for message in messages))
        self._replies.n = 0
        try:
            completion = self._client.chat.completions.create(max_tokens=MAX_TOKENS, **request)
        except (ValueError, RecursionError):  # The library cannot parse the reply as JSON.
            raise BadReply(INVALID_REPLY, (read * self._replies.n, 0)) from None
        except openai.APITimeoutError:
            problem = f"no answer in {self.timeout:g} s"
        except openai.APIConnectionError as error:
            problem = type(error.__cause__ or error).__name__
        except openai.APIStatusError as error:
            problem = f"status {error.status_code}"
            if hint := _hint(error.status_code, self.host, self.model):
                raise UserError(hint) from None
            if error.status_code < 500 and error.status_code not in (408, 409, 425, 429):
                raise _Refused(f"refused with {problem}") from None
        else:
            return _parse(completion, read, self.key or "", read * (self._replies.n - 1))
        raise UserError(f"{self.host} does not answer ({problem}, {TRIES} tries): try again later")


class _Refused(BadReply):
    """The server refuses this request, and would refuse it again."""


def _is_address(url: str) -> bool:
    """Whether a URL is http(s), in ASCII without blanks, with a host and no user or password."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return has_host and is_plain and parts.scheme in ("http", "https") and "@" not in parts.netloc


def _hint(status: int, host: str, model: str) -> str:
    """Message on a status that refuses every question (a redirect, 401 to 405); "" for others."""
    if status in (401, 403):
        return f"{host} refuses the key (status {status}): set the environment variable {KEY}"
    if status == 402:
        return f"{host} wants to be paid first (status {status}): there is no credit left"
    if status < 400:
        return (
            f"{host} sends questions on to another address (status {status}), which no key is sent "
            "to: give --url that address, which mostly begins with https"
        )
    if status in (404, 405):
        return (
            f"{host} has no model {model}, or no chat interface at this address (status {status}): "
            "check --model and --url, which mostly ends with /v1"
        )
    return ""


def _parse(completion: ChatCompletion, read: int, key: str, lost_tokens: int) -> Reply:
    """Read the text, confidence and tokens of a reply; any field may be missing or of a wrong type.

    `read` are the tokens of the question, for a server that does not count them. `lost_tokens` are
    those of tries whose replies were cut off, and are added. The server's `key`, "" for none, is
    removed from the text. A `BadReply` reports a reply that is empty, invalid or a refusal.
    """
    try:
        choice = completion.choices[0]
        text, refusal = choice.message.content, choice.message.refusal
        n_read, n_written = _tokens(completion, read, len(refusal or text or ""))
    except (AttributeError, LookupError, TypeError):
        raise BadReply(INVALID_REPLY, (lost_tokens + read, 0)) from None
    tokens = lost_tokens + n_read, n_written
    if refusal:
        raise BadReply("the model refuses to answer", tokens)
    if not isinstance(text, str) or not text.strip():
        raise BadReply("an empty answer", tokens)
    text = re.sub(re.escape(key), "[key]", text, flags=re.IGNORECASE) if key else text
    return Reply(text, _confidence(choice), tokens)


def _confidence(choice: Choice) -> float | None:
    try:
        total = math.fsum(token.logprob for token in choice.logprobs.content)
    except (AttributeError, TypeError):
        return None
    return math.exp(min(total, 0.0)) if choice.logprobs.content and math.isfinite(total) else None


def _tokens(completion: ChatCompletion, read: int, written: int) -> tuple[int, int]:
    """The server's counts of tokens read and written; else `read`, and `written` characters / 4."""
    n_read = getattr(completion.usage, "prompt_tokens", None)
    n_written = getattr(completion.usage, "completion_tokens", None)
    if type(n_read) is not int or n_read < 0:
        n_read = read
    if type(n_written) is not int or n_written < 0:
        n_written = estimate(written)
    return n_read, n_written


def estimate(characters: int) -> int:
    """Estimate the number of tokens of a text: one token for four characters."""
    return -(-characters // 4)
