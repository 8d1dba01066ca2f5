"""A client of servers with OpenAI's chat interface: one question, one answer, whatever comes back.

It knows nothing of topics, prompts or paragraphs. The key is sent to the server of the URL alone,
and is in no message. How a request is sent is for `post`.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from paratopic.annotation.post import Sender, TooLong
from paratopic.project.errors import UserError

# Bytes of a reply that are read: no answer that names topics is longer.
LONGEST_REPLY = 1_000_000
# Tries of a request that the server is too busy for, and seconds before the second of them.
TRIES, FIRST_WAIT, LONGEST_WAIT = 6, 1.0, 60.0
# Environment variable with the key of the server.
KEY = "PARATOPIC_LLM_KEY"
# Tokens of an answer, at most.
MOST_TOKENS = 200

Message = Mapping[str, str]


class BadReply(Exception):
    """The server answered, and what it answered is of no use. The text says why.

    Parameters
    ----------
    problem
        Why it is of no use.
    tokens
        Number of tokens read and written, which have to be paid; none by default.
    """

    def __init__(self, problem: str, tokens: tuple[int, int] = (0, 0)) -> None:
        super().__init__(problem)
        self.tokens = tokens


class Busy(UserError):
    """The server cannot be reached, or stays too busy. Nothing is wrong with the question."""


@dataclass(frozen=True)
class Reply:
    """What a model wrote.

    Parameters
    ----------
    text
        Its answer.
    certainty
        Probability of the answer by its tokens', 0 to 1; None where the server does not give them.
    tokens
        Number of tokens read and written; estimated where the server does not count them.
    """

    text: str
    certainty: float | None
    tokens: tuple[int, int]


@dataclass
class Chat:
    """A model on a server.

    Parameters
    ----------
    url
        Address of the interface, such as http://127.0.0.1:11434/v1.
    model
        Name of the model on the server.
    key
        Sent as a bearer token; None, the default, sends none.
    timeout
        Seconds that an answer may take; 120 by default.
    pause
        Waits for some seconds before the next try, and may raise an error to end the run; sleeps
        by default.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    pause: Callable[[float], None] = time.sleep
    _plain: bool = field(default=False, init=False)
    _sender: Sender = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise UserError(
                "--url is the address of a chat interface, such as http://127.0.0.1:11434/v1, "
                "without a name or password in it"
            )
        if self.key and not (self.key.isascii() and self.key.isprintable()):
            raise UserError(
                f"the environment variable {KEY} has characters that no key has, such as a line "
                "end: set it to the key alone"
            )
        # A proxy could not send anything back to this machine, and texts would leave it.
        self._sender = Sender(direct=self.is_here)

    @property
    def host(self) -> str:
        """The server's name."""
        return str(urlsplit(self.url).hostname)

    @property
    def is_here(self) -> bool:
        """Whether the server is this machine."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    def ask(
        self, messages: Sequence[Message], schema: Mapping[str, Any], temperature: float = 0.0
    ) -> Reply:
        """Ask for an answer that keeps to a JSON schema, if the server knows schemas.

        Raises
        ------
        BadReply
            The reply is of no use.
        Busy
            The server cannot be reached, or is too busy after `TRIES`.
        UserError
            The server refuses every question: the key, the model or the address is wrong.
        """
        body: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        body |= {"temperature": temperature, "max_tokens": MOST_TOKENS}
        more = {
            "logprobs": True,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        }
        if not self._plain:
            try:
                return _parse(self._post(body | more), messages)
            except _Refused:
                # Perhaps the server knows no schemas or probabilities; perhaps the text is refused.
                reply = _parse(self._try_plain(body), messages)
                self._plain = True
                return reply
        return _parse(self._try_plain(body), messages)

    def _try_plain(self, body: Mapping[str, Any]) -> bytes:
        try:
            return self._post(body)
        except _Refused as refused:
            raise BadReply(str(refused)) from None

    def _post(self, body: Mapping[str, Any]) -> bytes:
        """Send a request again while the server is busy."""
        wait, asked, problem = FIRST_WAIT, 0.0, ""
        for attempt in range(TRIES):
            if attempt:
                # At random, so that several that wait do not come back at once, and not before the
                # time that the server asks for.
                self.pause(asked + random.uniform(wait / 2, wait))
                wait, asked = min(2 * wait, LONGEST_WAIT), 0.0
            try:
                return self._send(body)
            except TooLong:
                raise BadReply(f"a reply of more than {LONGEST_REPLY:,} bytes") from None
            except HTTPError as error:
                error.close()
                problem = f"status {error.code}"
                if hint := _hint(error.code, self.host, self.model):
                    raise UserError(hint) from None
                if error.code not in (408, 409, 425, 429) and error.code < 500:
                    raise _Refused(f"refused with {problem}") from None
                asked = _retry_after(error.headers.get("Retry-After"))
            except (OSError, HTTPException, ValueError) as error:
                reason = getattr(error, "reason", error)
                problem = f"{type(reason).__name__} while sending"
                if isinstance(reason, TimeoutError):
                    problem = f"no answer in {self.timeout:g} s"
        raise Busy(f"{self.host} does not answer ({problem}, {TRIES} tries): try again later")

    def _send(self, body: Mapping[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "paratopic"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        url, data = f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode()
        return self._sender.post(url, data, headers, self.timeout, LONGEST_REPLY)


class _Refused(Exception):
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


def _retry_after(cell: str | None) -> float:
    """Seconds that the server asks to wait for, as a number or a time, at most `LONGEST_WAIT`."""
    try:
        seconds = float(cell or 0)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(str(cell)) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # the latter of a time without a zone
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else 0.0


def _parse(data: bytes, messages: Sequence[Message]) -> Reply:
    """Read a reply as the interface describes it."""
    try:
        reply = json.loads(data)
        choice = reply["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise BadReply("a reply that is no answer of a chat interface") from None
    sent = sum(len(message["content"]) for message in messages)
    tokens = _tokens(reply, sent, len(str(refusal or text or "")))
    if refusal:
        raise BadReply("the model refuses to answer", tokens)
    if not isinstance(text, str) or not text.strip():
        raise BadReply("an empty answer", tokens)
    return Reply(text, _certainty(choice), tokens)


def _certainty(choice: Mapping[str, Any]) -> float | None:
    try:
        logs = [float(token["logprob"]) for token in choice["logprobs"]["content"]]
    except (LookupError, TypeError, ValueError):
        return None
    total = sum(logs)
    return math.exp(min(total, 0.0)) if logs and math.isfinite(total) else None


def _tokens(reply: Mapping[str, Any], sent: int, written: int) -> tuple[int, int]:
    usage = reply.get("usage")
    counted = []
    for name, characters in (("prompt_tokens", sent), ("completion_tokens", written)):
        number = usage.get(name) if isinstance(usage, dict) else None
        known = isinstance(number, int) and 0 <= number < 10**9
        counted.append(int(number) if known and number is not None else estimate(characters))
    return counted[0], counted[1]


def estimate(characters: int) -> int:
    """Estimate the number of tokens of a text from that of its characters: four each."""
    return -(-characters // 4)
