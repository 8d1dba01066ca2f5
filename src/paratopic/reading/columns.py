"""What the columns and labels of a table probably mean, from their names and contents.

These are proposals for `prepare.sources` that a person checks. This module neither reads a file nor
decides how a table is read (`tables` does).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from unicodedata import normalize

from paratopic.project.errors import UserError
from paratopic.project.sources import BESIDE, NONE, Source
from paratopic.project.topics import SEPARATOR, UNDECIDED, Topic, split_cell
from paratopic.reading.cells import cleaned, iso_date
from paratopic.reading.tables import DRAWS, label_text

# Key → names of columns that it may stand for, the likeliest first.
NAMES = {
    "text": "text body paragraph sentence content passage".split(),
    "label": "label topic topics labels class category theme subject code".split(),
    "id": "id uid key identifier nr number".split(),
    "date": "date day published datetime timestamp time year".split(),
    "group": "group article document doc speech story url".split(),
}
# Labels that mean none of the topics, or stand where a row has no label → what they mean.
MEANINGS = dict.fromkeys(("none", "other", "others", "no topic", "none of the topics"), NONE)
MEANINGS |= dict.fromkeys(
    "n/a #n/a n.a. na <na> nan null missing uncoded - . -9 -99 -999".split(), UNDECIDED
)

# More values than these are no topics, unless a column is named after them.
MOST_TOPICS = 40
# Groups fewer than these are too coarse to hold some of them out.
LEAST_GROUPS = 10
# An id of a column of any name; no number with decimals is one.
_ID = re.compile(r"(?!-?\d*\.\d)[\w./-]{1,40}")


class Proposal(NamedTuple):
    """What a table probably means.

    Parameters
    ----------
    columns
        Key of the entry → the column that is taken for it.
    topics
        Names of the topics that its labels mean, the most frequent first; empty for a table without
        labels.
    """

    source: Source
    columns: dict[str, str]
    topics: list[str]


def propose(columns: Mapping[str, Sequence[object]], path: str, guess: bool = True) -> Proposal:
    """Propose which columns and labels of a table mean what, with its path in `prepare.sources`.

    Parameters
    ----------
    guess
        Whether a column whose name says nothing may be the one with the labels; True by default.

    Raises
    ------
    UserError
        The table has no rows, or nothing but empty ones.
    """
    cells = {
        name: [label_text(value) for value in values]
        for name, values in columns.items()
        if name and name not in BESIDE
    }
    if not any(map(any, cells.values())):
        raise UserError(f"{path}: there are no rows; of a workbook, the first sheet is read")
    chosen = _chosen(cells, guess)
    keys: dict[str, Any] = {key: _entry(key, name, cells) for key, name in chosen.items()}
    columns_of = {key: name for key, name in chosen.items() if name is not None}
    labels, topics = _topics(cells.get(columns_of.get("label", ""), []))
    return Proposal(Source(path, **keys, labels=labels), columns_of, topics)


def _chosen(cells: dict[str, list[str]], guess: bool) -> dict[str, str | None]:
    """Key of `Source` → the column that it probably stands for, None for none."""
    chosen: dict[str, str | None] = {}

    def choose(key: str, fits: Callable[[Sequence[str]], bool], others: Iterable[str] = ()) -> None:
        named = sorted((rank, name) for name in cells if (rank := _rank(name, NAMES[key])))
        candidates = [*(name for _, name in named), *others]
        free = (name for name in candidates if name not in chosen.values())
        chosen[key] = next((name for name in free if fits(cells[name])), None)

    # Texts are not much shorter than those of the column with the longest ones.
    longest = max(cells, key=lambda name: sum(map(len, cells[name])))
    least = sum(map(len, cells[longest])) / 4
    choose("text", lambda values: sum(map(len, values)) >= least, [longest])
    dated = [name for name in cells if _share(cells[name], _is_day) > 0.5]
    choose("date", lambda values: _share(values, iso_date) > 0.5, dated)
    of_ids = [name for name in cells if all(map(_ID.fullmatch, cells[name]))]
    choose("id", _are_distinct, [name for name in of_ids if not _rank(name, NAMES["date"])])
    fewest = sorted(cells, key=lambda name: len(set(cells[name])))
    # An empty column with such a name is to be filled.
    guess &= not any(_rank(name, NAMES["label"]) and not any(cells[name]) for name in cells)
    # Yes or no says whether a text has one topic, not which topic it has.
    few = [
        name
        for name in fewest
        if guess and _are_labels(cells[name], False) and not {*cells[name]} <= {"", "0", "1"}
    ]
    choose("label", _are_labels, few)
    repeated_ids = [name for name in cells if _rank(name, NAMES["id"])]
    choose("group", lambda values: 1 < len(set(values)) < len(values), repeated_ids)
    n_dates = len(set(cells.get(chosen["date"] or "", ())))
    if chosen["group"] is None and LEAST_GROUPS <= n_dates <= len(cells[longest]) / 2:
        chosen["group"] = chosen["date"]
    is_whole = re.compile(r"-?\d{1,18}").fullmatch
    if not (chosen["group"] and all(map(is_whole, cells.get("position", ())))):
        chosen["position"] = None
    drawn = {*cells.get("drawn", ())}
    if not drawn <= DRAWS.keys() or ("article" in drawn and not chosen["group"]):
        chosen["drawn"] = None
    return chosen


def _entry(key: str, name: str | None, cells: dict[str, list[str]]) -> str | None:
    """What stands after a key: "" where the key says the same by itself."""
    if name is None:
        return None if key in cells or key == "label" else ""
    return "" if name == key else name


def _rank(name: str, known: Sequence[str]) -> tuple[int, int] | None:
    """How well a column's name fits names that are known, the best first; None if it does not.

    >>> _rank("Topic", ("label", "topic")), _rank("main_topic", ("label", "topic"))
    ((0, 1), (1, 1))
    """
    words = re.findall(r"[^\W_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    ranks = ((int(words != [word]), place) for place, word in enumerate(known) if word in words)
    return min(ranks, default=None)


def _are_distinct(values: Sequence[str]) -> bool:
    """Whether each cell is an id of its own, as ids are read."""
    ids = set(map(cleaned, values))
    return all(ids) and len(ids) == len(values)


def _are_labels(values: Sequence[str], named: bool = True) -> bool:
    """Whether cells look like labels, in a column that is named after labels or not."""
    n = sum(map(bool, values))
    most = max(min(MOST_TOPICS, n / 2), n / 5) if named else min(MOST_TOPICS, n / 5)
    names = {name for cell in {*values} for name in split_cell(cell)}
    return len(names) <= most and len(_topics(values)[1]) > 1


def _is_day(text: str) -> bool:
    return len(iso_date(text) or "") == len("2025-09-15")


def _share(values: Sequence[str], fits: Callable[[str], object]) -> float:
    """Share of the cells that are not empty that fit."""
    filled = [value for value in values if value]
    return sum(map(bool, map(fits, filled))) / len(filled) if filled else 0.0


def _topics(cells: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What labels mean that are no topics by themselves, and the topics.

    A cell with semicolons has several labels if each of them is in another cell too.

    >>> _topics(["Law; order", "Econ", "Econ", "Other", ""])
    ({'Law; order': 'Law, order', 'Other': 'none'}, ['Econ', 'Law, order'])
    """
    cells = [cell for cell in cells if cell not in ("", UNDECIDED)]
    n_cells = Counter(part for cell in {*cells} for part in split_cell(cell))
    counts: Counter[str] = Counter()
    for cell in cells:
        parts = split_cell(cell)
        are_labels = SEPARATOR in cell and all(n_cells[part] > 1 for part in parts)
        counts.update(parts if are_labels else [cell])
    ranked = [label for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    other = {label: MEANINGS.get(label.lower().strip("()")) for label in ranked}
    topical = [label for label in ranked if not other[label]]
    if len(set(map(_alike, topical))) < 2:
        topical = ranked
    name_of: dict[str, str] = {}  # one for labels that differ in capitals alone
    for label in topical:
        if _alike(label) not in name_of:
            name = _valid(label)
            while name in name_of.values():
                name += " 2"
            name_of[_alike(label)] = name
    meant = {label: name_of.get(_alike(label)) or other[label] or NONE for label in ranked}
    mapped = {k: v for k, v in sorted(meant.items()) if k != v or v == NONE}
    return mapped, list(name_of.values())


def _alike(label: str) -> str:
    """Equal for labels that differ in capitals or in how accents are stored."""
    return normalize("NFC", label).casefold()


def _valid(label: str) -> str:
    """The name of a topic that is like a label. `NONE` has a meaning of its own."""
    name = cleaned(label.replace(SEPARATOR, ","))
    try:
        return "other" if name == NONE else Topic(name).name
    except ValueError:
        return "unknown"
