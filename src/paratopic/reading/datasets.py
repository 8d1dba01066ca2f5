"""Datasets that the library `datasets` opens: on a hub, or in a folder or file of this machine.

Each has an address, which stands in `prepare.sources` where a table has its path. No code of a
dataset is run: the library opens files of data alone. What columns mean is for `tables`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from paratopic.project.errors import UserError
from paratopic.project.hub import COMMIT, HUB, LOCAL, Repository, check_repository, parse_repository
from paratopic.project.sources import KEYS
from paratopic.project.topics import nearest
from paratopic.tables.files import Table, arrow_columns, is_read

log = logging.getLogger(__name__)

# What may come after the question mark of an address.
PARTS = ("config", "split", "sample")


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
    """

    scheme: str
    place: str
    revision: str = ""
    config: str | None = None
    split: str = "train"
    sample: int | None = None

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

    >>> parse_address("hf://owner/news@" + 40 * "0" + "?split=test&sample=100").sample
    100

    It is ``hf://OWNER/NAME@COMMIT`` or ``dataset://PATH``, and after a question mark any of config,
    split and sample.

    Raises
    ------
    UserError
        The address names no dataset, no commit, an unknown key or one key twice; or its sample is
        no number.
    """
    scheme = HUB if text.startswith(HUB) else LOCAL
    place, _, query = text.removeprefix(scheme).partition("?")
    given: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key in KEYS:
            raise UserError(f"{text}: write {key} beside path, as a key of the source")
        if key not in PARTS:
            raise UserError(f"{text}: unknown key {key}{nearest(key, PARTS)}")
        if key in given:
            raise UserError(f"{text}: has {key} twice")
        given[key] = value
    config, split, sample = (unquote(given.get(key, "")) for key in PARTS)
    if sample and not re.fullmatch("[1-9][0-9]*", sample):
        raise UserError(f"{text}: sample is a number of rows from 1 on, not {sample}")
    name, revision = (place, "") if scheme == LOCAL else parse_repository(place)
    if scheme == HUB and not COMMIT.fullmatch(revision):
        raise UserError(
            f"{text}: write the whole commit after the name, hf://{name}@COMMIT, so that the data "
            "stay the same; the dataset's page has it under Files, History"
        )
    n_rows = int(sample) if sample else None
    return Address(scheme, name, revision, config or None, split or "train", n_rows)


def from_project(text: str, written: Callable[[Path], str]) -> str:
    """Write an address with its path as a project writes it."""
    address = parse_address(text)
    if address.scheme != LOCAL:
        return text
    return LOCAL + written(Path(address.place)) + text.removeprefix(LOCAL + address.place)


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
