"""Fetch models from a hub, by their address. Sending them there is for `cli.publish`.

Only files that a model's manifest lists are fetched: data that run no code.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from paratopic.inference.folder import MANIFEST, PLAIN_NAME, prediction_files, read_manifest
from paratopic.project.errors import UserError
from paratopic.project.hub import COMMIT, check_repository, parse_repository


def fetch_from_hub(address: str) -> Path:
    """Download a model to the cache of the hub's library, and return its folder.

    Without network, a commit that was fetched before is taken from the cache. What is damaged there
    is fetched again.

    Parameters
    ----------
    address
        ``hf://OWNER/NAME@COMMIT``; in place of the commit a branch or a tag, which are looked up
        each time.

    Raises
    ------
    UserError
        It names no revision, or the hub has no such model or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository = parse_repository(address)
    if not repository.revision:
        raise UserError(f"{address}: write the commit after the name, such as {address}@COMMIT")

    def download(names: list[str], **how: bool) -> Path:
        name, revision = repository
        return Path(snapshot_download(name, revision=revision, allow_patterns=names, **how))

    def whole(**how: bool) -> Path:
        folder = download([MANIFEST], **how)
        if not (folder / MANIFEST).exists():
            raise UserError(f"{repository} is not a paratopic model: it has no {MANIFEST}")
        # What a stranger's manifest lists besides is refused when it is read.
        names = [name for name in prediction_files(folder) if PLAIN_NAME.fullmatch(name)]
        folder = download(names, **how)
        read_manifest(folder)  # a file in the cache may be damaged
        return folder

    if COMMIT.fullmatch(repository.revision):
        with suppress(LocalEntryNotFoundError, UserError):
            return whole(local_files_only=True)
    check_repository(repository, "model")
    with suppress(UserError):
        return whole()
    return whole(force_download=True)
