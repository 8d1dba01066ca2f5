"""Datasets that the library `datasets` opens: on a hub, or in a folder or file of this machine.

Each has an address, which stands in `prepare.sources` where a table has its path. No code of a
dataset is run: the library opens files of data alone. What columns mean is for `tables`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from paratopic.project.errors import UserError
from paratopic.project.hub import COMMIT, HUB, Repository, check_repository, parse_repository
from paratopic.project.sources import KEYS, Source
from paratopic.project.topics import nearest
from paratopic.tables.files import Table, arrow_columns, is_read

log = logging.getLogger(__name__)

LOCAL = "dataset://"


@dataclass(frozen=True)
class Address:
    """Where a dataset is, and which part of it is meant.

    Parameters
    ----------
    place
        ``owner/name`` on the hub, or the path of a folder or file.
    revision
        Commit of a dataset on the hub; empty for one of this machine.
    config
        Configuration of the dataset; None for its only one.
    split
        Split, or a part of it such as ``train[:10%]``.
    sample
        Number of rows that are read at most, evenly spaced; None for all.
    keys
        Key of `Source` → the column that the address names.
    """

    scheme: str
    place: str
    revision: str = ""
    config: str | None = None
    split: str = "train"
    sample: int | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.scheme}{self.place}{f'@{self.revision}' if self.revision else ''}"

    @property
    def name(self) -> str:
        """What paragraph ids begin with: the names of the dataset, its configuration and split.

        >>> Address(HUB, "owner/news", config="en", split="train[:10%]").name
        'news-en-train'
        """
        names = (Path(self.place).stem, self.config, self.split.partition("[")[0])
        return "-".join(re.sub(r"[^\w.-]+", "_", name) for name in names if name)


def is_address(path: str) -> bool:
    """Whether an entry of `prepare.sources` is the address of a dataset, not a path."""
    return path.startswith((HUB, LOCAL))


def parse_address(text: str) -> Address:
    """Read an address.

    >>> parse_address("hf://owner/news@" + 40 * "0" + "?split=test&text=body&group=").keys
    {'text': 'body', 'group': None}

    It is ``hf://OWNER/NAME@COMMIT`` or ``dataset://PATH``, and after a question mark any of config,
    split, sample and the keys of `Source`, where an empty value is null.

    Raises
    ------
    UserError
        The address names no dataset, no commit, or an unknown key, or its sample is no number.
    """
    scheme = HUB if text.startswith(HUB) else LOCAL
    place, _, query = text.removeprefix(scheme).partition("?")
    given: dict[str, str | None] = {}
    known = ("config", "split", "sample", *KEYS)
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in known:
            raise UserError(f"{text}: unknown key {key}{nearest(key, known)}")
        if key in given:
            raise UserError(f"{text}: has {key} twice")
        given[key] = unquote(value) or None
    config, split, sample = (given.pop(key, None) for key in ("config", "split", "sample"))
    if sample is not None and not re.fullmatch("[1-9][0-9]*", sample):
        raise UserError(f"{text}: sample is a number of rows from 1 on, not {sample}")
    name, revision = (place, "") if scheme == LOCAL else parse_repository(place)
    if scheme == HUB and not COMMIT.fullmatch(revision):
        raise UserError(
            f"{text}: write the whole commit after the name, hf://{name}@COMMIT, so that the data "
            "stay the same; the dataset's page has it under Files, History"
        )
    n_rows = int(sample) if sample else None
    return Address(scheme, name, revision, config, split or "train", n_rows, given)


def from_project(text: str, written: Callable[[Path], str]) -> str:
    """Write an address with its path as a project writes it; a `UserError` if it names columns."""
    address = parse_address(text)
    if address.keys:
        raise UserError(
            f"{text}: leave out {', '.join(address.keys)}: which columns are meant is proposed, "
            "and you correct it in params.yaml"
        )
    if address.scheme == LOCAL:
        address = replace(address, place=written(Path(address.place)))
    split = address.split if address.split != "train" else None
    given = {"config": address.config, "split": split, "sample": address.sample}
    query = "&".join(f"{key}={value}" for key, value in given.items() if value)
    return f"{address}?{query}" if query else str(address)


def with_address(source: Source, address: Address) -> Source:
    """The source with the columns that its address names; a `UserError` if it has them, too."""
    for key in address.keys:
        if getattr(source, key) != "":
            raise UserError(
                f"prepare.sources: {key} is in the address {address} and beside it; remove one"
            )
    return replace(source, **address.keys)


def read_dataset(address: Address, whole: Collection[str]) -> Table:
    """Read the rows of a dataset; values within objects have columns such as ``json.label``.

    The dataset is mapped into memory. Only the rows of a sample are copied from there. Columns are
    read as `tables.files.arrow_columns` does.

    Raises
    ------
    UserError
        There is no such dataset, configuration or split, or it can neither be reached nor is it
        in the cache.
    """
    data = _open(address).flatten()
    schema = data.features.arrow_schema
    kept = [each.name for each in schema if each.name in whole or is_read(each)]
    numbers = _spaced(len(data), address.sample or len(data))
    rows = data.select_columns(kept).select(numbers).with_format("arrow")[:]
    # Of a list, the feature says what its items are.
    items = {name: getattr(item, "feature", item) for name, item in data.features.items()}
    class_names = {name: list(i.names) for name, i in items.items() if hasattr(i, "names")}
    columns = arrow_columns(rows, schema.names, whole, class_names)
    return Table(columns, [f"{address}, row {number}" for number in numbers])


def _spaced(n: int, most: int) -> Sequence[int]:
    """Numbers from 0 to n - 1, at most so many, evenly spaced.

    >>> _spaced(10, 4), _spaced(3, 4)
    ([0, 2, 5, 7], range(0, 3))
    """
    return range(n) if n <= most else [number * n // most for number in range(most)]


def _open(address: Address) -> Any:
    """A split of a dataset, as the library maps it into memory."""
    import datasets
    from huggingface_hub.utils.tqdm import disable_progress_bars

    for library in ("datasets", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
        disable_progress_bars()
    try:
        return _on_hub(address) if address.scheme == HUB else _on_disk(address)
    except UserError:
        raise
    # Each of the formats and libraries below has errors of its own.
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise UserError(f"{address}: cannot be read as a dataset: {reason[:300]}") from None


def _on_hub(address: Address) -> Any:
    import datasets

    # The hub says which configuration an address without one means. "default" always is.
    copy = _cached(address, address.config or "default")
    if copy is None:
        try:
            check_repository(Repository(address.place, address.revision), "dataset")
        except UserError:
            copy = None if address.config else _cached(address, "*")
            if copy is None:
                raise
            log.warning(
                f"note: {address}: the hub cannot be reached; the configuration "
                f"{copy.config.name} is read, which is the only one in the cache"
            )
        else:
            place, revision = address.place, address.revision
            copy = datasets.load_dataset_builder(place, address.config, revision=revision)
            copy.download_and_prepare()
    return copy.as_dataset(split=address.split)


def _cached(address: Address, named: str) -> Any:
    """The dataset in the library's cache, of exactly this commit and of a configuration's name.

    None if it is not there, or if several names match.

    By itself, the library asks the hub first, and without network takes the commit of last time.
    """
    from datasets import config
    from datasets.naming import camelcase_to_snakecase
    from datasets.packaged_modules.cache.cache import Cache

    *owner, name = address.place.split("/")
    folder = Path(config.HF_DATASETS_CACHE, "___".join([*owner, camelcase_to_snakecase(name)]))
    copies = list(folder.glob(f"{named}/*/{address.revision}/dataset_info.json"))
    if len(copies) != 1:
        return None
    keys = ("config_name", "version", "hash")
    place = dict(zip(keys, copies[0].parts[-4:-1], strict=True))
    return Cache(repo_id=address.place, dataset_name=name, **place)


def _on_disk(address: Address) -> Any:
    import datasets

    # A relative path such as csv/table.csv would name a format of the library.
    path = Path(address.place).absolute()
    if not path.exists():
        raise UserError(f"{address}: there is no such folder or file")
    if any((path / name).exists() for name in ("dataset_dict.json", "state.json")):  # saved to disk
        data = datasets.load_from_disk(str(path))
        if isinstance(data, datasets.Dataset):
            return data
        if address.split not in data:
            raise UserError(
                f"{address}: there is no split {address.split}; there are {', '.join(data)}"
            )
        return data[address.split]
    folder, files = (path, None) if path.is_dir() else (path.parent, {"train": path.name})
    load = partial(datasets.load_dataset_builder, str(folder), address.config, data_files=files)
    data = load()
    if hasattr(data.config, "keep_default_na"):  # CSV, where NA and None are texts like any other
        data = load(keep_default_na=False, na_values=[""])
    data.download_and_prepare()
    return data.as_dataset(split=address.split)
