"""One question to a language model on a server with OpenAI's chat interface, and its answer.

This module knows nothing of topics, prompts or paragraphs. Retries, time-outs and waits are the
library's. The key is sent to the server of the URL alone, and is in no message.
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

# Tries of a request that the server is too busy for; the library waits between them.
TRIES = 6
# Environment variable with the key of the server.
KEY = "PARATOPIC_LLM_KEY"
# Names of this machine.
HERE = "127.0.0.1", "localhost", "[::1]"
# Why a reply is of no use that has another form.
NO_ANSWER = "a reply that is no answer of a chat interface"
# Tokens of an answer, at most.
MOST_TOKENS = 200

Message = Mapping[str, str]


class BadReply(Exception):
    """The server's reply is of no use; says why, and how many tokens have to be paid (in, out)."""

    def __init__(self, problem: str, tokens: tuple[int, int] = (0, 0)) -> None:
        super().__init__(problem)
        self.tokens = tokens


@dataclass(frozen=True)
class Reply:
    """What a model wrote.

    Parameters
    ----------
    confidence
        Probability of the answer by its tokens', 0 to 1; None where the server does not give them.
    tokens
        Number of tokens read and written; estimated where the server does not count them.
    """

    text: str
    confidence: float | None
    tokens: tuple[int, int]


@dataclass
class Chat:
    """A model on a server.

    Parameters
    ----------
    url
        Address of the interface, such as http://127.0.0.1:11434/v1.
    key
        Sent as a bearer token; None, the default, sends none.
    timeout
        Seconds that an answer may take; 120 by default.

    Raises
    ------
    UserError
        The URL is no address.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    _plain: bool = field(default=False, init=False)
    # Of each thread: the number `n` of replies to its question that began, some of them in vain.
    _begun: threading.local = field(default_factory=threading.local, init=False, repr=False)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise UserError(
                "--url is the address of a chat interface, such as http://127.0.0.1:11434/v1, "
                "without a name or password in it"
            )
        # Neither a proxy for a server on this machine, nor another address than the URL's.
        direct = {f"all://{host}": None for host in HERE}
        hooks = {"response": [self._count]}
        http = openai.DefaultHttpxClient(mounts=direct, follow_redirects=False, event_hooks=hooks)
        self._client = openai.OpenAI(
            base_url=self.url,
            # Without one, the library would take the key of another service from the environment.
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
    def is_here(self) -> bool:
        """Whether the server is this machine."""
        return self.host in [name.strip("[]") for name in HERE]

    def ask(self, messages: Sequence[Message], schema: Mapping[str, object]) -> Reply:
        """Ask for an answer that keeps to a JSON schema, if the server knows schemas.

        Raises
        ------
        BadReply
            The reply is of no use.
        UserError
            The server cannot be reached, stays too busy, or refuses every question.
        """
        answer = {"name": "answer", "strict": True, "schema": schema}
        form = {"type": "json_schema", "json_schema": answer}
        if self._plain:
            return self._send(messages)
        try:
            return self._send(messages, logprobs=True, response_format=form)
        except _Refused:  # perhaps it knows no schemas; perhaps it refuses the text
            reply = self._send(messages)
            self._plain = True
            return reply

    def _count(self, response: Any) -> None:
        """Count a reply that begins, which has to be paid although it may be cut off."""
        self._begun.n += response.is_success

    def _send(self, messages: Sequence[Message], **more: object) -> Reply:
        wish = {"model": self.model, "messages": list(messages), "temperature": 0.0, **more}
        read = estimate(sum(len(message["content"]) for message in messages))
        self._begun.n = 0
        try:
            completion = self._client.chat.completions.create(max_tokens=MOST_TOKENS, **wish)
        except (ValueError, RecursionError):  # of whatever came instead of JSON
            raise BadReply(NO_ANSWER, (read * self._begun.n, 0)) from None
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
            return _parse(completion, read, self.key or "", read * (self._begun.n - 1))
        raise UserError(f"{self.host} does not answer ({problem}, {TRIES} tries): try again later")


class _Refused(BadReply):
    """The server refuses this request, and would refuse it again."""


def _is_address(url: str) -> bool:
    """Whether a URL can be sent to, and has no name or password, which messages would show."""
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return is_whole and plain and parts.scheme in ("http", "https") and "@" not in parts.netloc


def _hint(status: int, host: str, model: str) -> str:
    """What to do where a server refuses every question; "" where it refuses one."""
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


def _parse(completion: ChatCompletion, read: int, key: str, lost: int) -> Reply:
    """Read a reply, which may be anything: the library does not check it.

    Parameters
    ----------
    read
        Tokens of the question, for a server that does not count them.
    key
        The server's key, which a reply may repeat and which is taken out; "" for none.
    lost
        Tokens of the question in tries whose replies were cut off.
    """
    try:
        choice = completion.choices[0]
        text, refusal = choice.message.content, choice.message.refusal
        asked, answered = _tokens(completion, read, len(refusal or text or ""))
    except (AttributeError, LookupError, TypeError):
        raise BadReply(NO_ANSWER, (lost + read, 0)) from None
    tokens = lost + asked, answered
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
    """Tokens read and written; where the server counts none, those of the characters."""
    counts = (
        getattr(completion.usage, f"{name}_tokens", None) for name in ("prompt", "completion")
    )
    both = zip(counts, (read, estimate(written)), strict=True)
    one, other = (n if type(n) is int and n >= 0 else estimated for n, estimated in both)
    return one, other


def estimate(characters: int) -> int:
    """Estimate the number of tokens of a text from that of its characters: four each."""
    return -(-characters // 4)
