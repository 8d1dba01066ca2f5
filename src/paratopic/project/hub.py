"""Repositories of models and datasets on a hub: their addresses, and whether they are there.

What is in them is for `inference.loading`, `reading.datasets` and `cli.publish`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from paratopic.project.errors import UserError

HUB = "hf://"
# What the address of a dataset of this machine begins with.
LOCAL = "dataset://"
# The name of a commit, which always means the same content.
COMMIT = re.compile(r"[0-9a-f]{40}")
# Seconds to wait for an answer.
SECONDS = 10.0
_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+|[\w.-]+)(?:@([\w./-]+))?")


class Repository(NamedTuple):
    """A repository.

    Parameters
    ----------
    name
        ``owner/name``.
    revision
        Commit, branch or tag; empty for none.
    """

    name: str
    revision: str

    def __str__(self) -> str:
        return f"{HUB}{self.name}{f'@{self.revision}' if self.revision else ''}"


def parse_repository(address: str) -> Repository:
    """Read the address of a repository.

    >>> parse_repository("hf://owner/news@main")
    Repository(name='owner/news', revision='main')

    Raises
    ------
    UserError
        It is no such address.
    """
    parts = _REPOSITORY.fullmatch(address.removeprefix(HUB))
    if parts is None:
        raise UserError(f"{address}: is no address on a hub; write hf://OWNER/NAME@COMMIT")
    return Repository(parts[1], parts[2] or "")


def datasets_on_hub(sources: Iterable[str]) -> list[str]:
    """Names of the sources that are datasets on a hub.

    >>> datasets_on_hub(["seeds", "hf://owner/news@main?split=test"])
    ['owner/news']
    """
    places = [source.partition("?")[0] for source in sources if source.startswith(HUB)]
    return list(dict.fromkeys(parse_repository(place).name for place in places))


def check_repository(repository: Repository, kind: Literal["model", "dataset"]) -> None:
    """Say in seconds whether a hub has a repository, which downloads would say after minutes.

    Raises
    ------
    UserError
        It has no such repository or revision, does not admit this user, or cannot be reached.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RevisionNotFoundError

    if problem := no_answer(constants.ENDPOINT):
        raise UserError(
            f"{repository}: the hub cannot be reached, and this revision is not in the cache "
            f"({problem}); connect to the network once, or name a local copy"
        )
    try:
        ask = HfApi().model_info if kind == "model" else HfApi().dataset_info
        ask(repository.name, revision=repository.revision or None, timeout=SECONDS)
    except RevisionNotFoundError:
        raise UserError(f"{repository}: there is no such commit, branch or tag") from None
    except GatedRepoError:
        raise UserError(
            f"{repository}: its owner has to admit you, on its page; then `hf auth login`"
        ) from None
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 404):
            raise UserError(f"{repository}: {str(error).splitlines()[0]}") from None
        raise UserError(
            f"{repository}: there is no such {kind}, or it is private; check the name, or log in "
            "with `hf auth login`"
        ) from None


@functools.cache
def no_answer(hub: str) -> str:
    """Why a hub does not answer; "" if it does. Asked once: libraries would try for minutes."""
    from huggingface_hub import get_session

    try:
        get_session().head(hub, timeout=SECONDS)
    except Exception as error:  # of a library of huggingface_hub's, which versions differ in
        return str(error).split("\n")[0]
    return ""
