"""Fetch models from a hub, by their address. Sending them there is for `cli.publish`.

Only files that a model's manifest lists are fetched: data that run no code.
"""

from __future__ import annotations

from pathlib import Path

from paratopic.inference.folder import MANIFEST, PLAIN_NAME, prediction_files
from paratopic.project.errors import UserError
from paratopic.project.hub import COMMIT, check_repository, parse_repository


def fetch_from_hub(address: str) -> Path:
    """Download a model to the cache of the hub's library, and return its folder.

    Without network, a commit that was fetched before is taken from the cache.

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

    def download(names: list[str], cached: bool) -> Path:
        name, revision = repository
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=names, local_files_only=cached
            )
        )

    def whole(cached: bool) -> Path:
        folder = download([MANIFEST], cached)
        if not (folder / MANIFEST).exists():
            raise UserError(f"{repository} is not a paratopic model: it has no {MANIFEST}")
        # What a stranger's manifest lists besides is refused when it is read.
        names = [name for name in prediction_files(folder) if PLAIN_NAME.fullmatch(name)]
        return download(names, cached)

    if COMMIT.fullmatch(repository.revision):
        try:
            folder = whole(cached=True)
            if all((folder / name).exists() for name in prediction_files(folder)):
                return folder
        except (LocalEntryNotFoundError, UserError):
            pass
    check_repository(repository, "model")
    return whole(cached=False)
