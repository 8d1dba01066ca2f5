"""What the columns and labels of a table probably mean, from their names and contents.

These are proposals for `prepare.sources` that a person checks. This module neither reads a file nor
decides how a table is read (`tables` does).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from unicodedata import normalize

from paratopic.project.errors import UserError, shortened
from paratopic.project.scripts import n_words
from paratopic.project.source_settings import CONTEXT_COLUMNS, Source
from paratopic.project.topics import NONE_CELL, SEPARATOR, UNDECIDED, Topic, join_cell, split_cell
from paratopic.reading.cells import cleaned, iso_date
from paratopic.reading.tables import DRAWS, label_text

# Key → names of columns that it may stand for, without accents, the likeliest first.
NAMES = {
    "text": "text body paragraph sentence content passage".split(),
    "label": (
        "label topic topics labels class category theme subject code gold "
        "thema kategorie sujet categorie etiquette tema categoria etiqueta argomento etichetta"
    ).split(),
    "id": "id uid key identifier nr number".split(),
    "date": "date datum fecha day published datetime timestamp time year".split(),
    "group": "group article document doc speech story url rede artikel discours discurso".split(),
}
# Words in the names of columns that say where a text is from, and of those that a model filled.
_ABOUT = set(
    "speaker author president party newspaper outlet publisher source journal magazine medium "
    "media country region state county district city place location language gender sex "
    "person user username candidate politician organization organisation company ministry agency "
    "chamber committee platform channel website file filename page split fold year month quarter "
    "decade week period session version annotator coder rater "
    "sprecher sprecherin redner rednerin autor autorin partei fraktion zeitung verlag quelle land "
    "bundesland wahlkreis ort stadt sprache geschlecht jahr monat "
    "orateur auteur parti pays ville langue sexe annee mois "
    "orador partido periodico diario fuente fonte pais ciudad idioma sexo mes "
    "oratore autore partito giornale testata paese citta lingua sesso anno mese".split()
)
_PREDICTED = set(
    "pred predicted prediction predictions confidence probability model machine llm gpt gpt4 "
    "chatgpt".split()
)
# Labels that mean none of the topics, or stand where a row has no label → what they mean.
MEANINGS = {
    **dict.fromkeys(("no topic", "none of the topics"), NONE_CELL),
    **dict.fromkeys("none other others sonstige sonstiges andere keine keins".split(), NONE_CELL),
    **dict.fromkeys("autre autres aucun aucune otro otros ninguno ninguna".split(), NONE_CELL),
    **dict.fromkeys("n/a #n/a n.a. na <na> nan null missing uncoded".split(), UNDECIDED),
    **dict.fromkeys("- . -9 -99 -999".split(), UNDECIDED),
}

# More values than these are no topics, unless a column is named after them.
MOST_TOPICS = 40
# Groups fewer than these are too coarse to hold some of them out.
LEAST_GROUPS = 10
# What stands in a column of yes and no.
_YES_OR_NO = set("0 1 0.0 1.0 true false yes no y n ja nein oui non si sí x".split()) | {""}
# A number or a date.
_NUMBER = re.compile(r"[-+]?\d[-\d.,:/ TZ]*")
# Words of a name that is a text rather than a name, at least.
_LONG_NAME = 5
# A column in which fewer of the rows differ within groups than this share of those that differ at
# all describes the groups.
_RARELY = 0.1
# An id of a column of any name; no number with decimals is one.
_ID = re.compile(r"(?!-?\d*\.\d)[\w./-]{1,40}")


class Proposal(NamedTuple):
    """What a table probably means.

    Parameters
    ----------
    columns
        Key of the entry → the column that is taken for it.
    topics
        What its labels mean, the most frequent first; empty for a table without labels.
    candidates
        Other columns that may have the labels → their values, the most frequent first. Columns that
        are named after labels come first.
    flags
        Other columns of yes and no, where there are several.
    """

    source: Source
    columns: dict[str, str]
    topics: list[str]
    candidates: dict[str, list[str]]
    flags: list[str]


def propose(
    columns: Mapping[str, Sequence[object]], path: str, label: str = "", guess: bool = True
) -> Proposal:
    """Propose which columns and labels of a table mean what, with its path in `prepare.sources`.

    Parameters
    ----------
    label
        The column with the labels; by default it is found.
    guess
        Whether a column whose name says nothing may be the one with the labels; True by default.

    Raises
    ------
    UserError
        The table has no rows, or nothing but empty ones, or no header.
    """
    cells = {
        name: [label_text(value) for value in values]
        for name, values in columns.items()
        if name and (name == label or name not in CONTEXT_COLUMNS)
    }
    if not any(any(values) for name, values in cells.items() if name != label):
        raise UserError(f"{path}: there are no rows; of a workbook, the first sheet is read")
    chosen = _chosen(cells, label, guess)
    _refuse_missing_header(path, chosen["text"] or "", cells)
    keys: dict[str, Any] = {key: _entry(key, name, cells) for key, name in chosen.items()}
    columns_of = {key: name for key, name in chosen.items() if name is not None}
    labels, topics = _topics(cells.get(columns_of.get("label", ""), []))
    rest = {name: cells[name] for name in cells if name not in columns_of.values()}
    return Proposal(
        Source(path, **keys, labels=labels), columns_of, topics, _candidates(rest), _flags(rest)
    )


def _chosen(cells: dict[str, list[str]], label: str, guess: bool) -> dict[str, str | None]:
    """Key of `Source` → the column that it probably stands for, None for none."""
    chosen: dict[str, str | None] = {"label": label} if label else {}

    def choose(key: str, fits: Callable[[Sequence[str]], bool], others: Iterable[str] = ()) -> None:
        free = (name for name in [*named_after(cells, key), *others] if name not in chosen.values())
        chosen[key] = next((name for name in free if fits(cells[name])), None)

    # Texts are not much shorter than those of the column with the longest ones.
    others = [name for name in cells if name != label]
    longest = max(others, key=lambda name: sum(map(len, cells[name])))
    least = sum(map(len, cells[longest])) / 4
    choose("text", lambda values: sum(map(len, values)) >= least, [longest])
    dated = [name for name in cells if _share(cells[name], _is_day) > 0.5]
    choose("date", lambda values: _share(values, iso_date) > 0.5, dated)
    of_ids = [name for name in cells if all(map(_ID.fullmatch, cells[name]))]
    choose("id", _are_distinct, [name for name in of_ids if not _rank(name, NAMES["date"])])
    if not label:
        chosen["label"] = _named_label(cells, chosen.values())
    repeated_ids = [name for name in cells if _rank(name, NAMES["id"])]
    choose("group", lambda values: 1 < len(set(values)) < len(values), repeated_ids)
    if guess and not chosen["label"]:
        chosen["label"] = _guessed_label(cells, chosen)
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


def _named_label(cells: dict[str, list[str]], taken: Collection[str | None]) -> str | None:
    """The column that is named after labels and has some, the likeliest; None for none."""
    fit = [n for n in named_after(cells, "label") if n not in taken and _are_labels(cells[n])]
    # topic_trade, with yes and no, says whether a text has one topic, not which topic it has.
    plain = [n for n in fit if not _is_yes_or_no(cells[n]) or n.casefold() in NAMES["label"]]
    return next(iter(plain or ([] if _flags(cells) else fit)), None)


def _guessed_label(cells: dict[str, list[str]], chosen: Mapping[str, str | None]) -> str | None:
    """The only column that may have labels where none is named after them; else None.

    Columns of numbers, and those that describe the text's article or author, have none. A column
    of any name may do so too, if it stands beside such and nothing says what an article is. An
    empty column that is named after labels is to be filled.
    """
    free = [name for name in cells if name not in chosen.values()]
    about = [name for name in free if _words(name) & _ABOUT and len({*cells[name]}) > 1]
    if named_after(free, "label") or (about and not chosen["group"]):
        return None
    groups = [cells[name] for name in (*about, chosen["group"]) if name]
    fit = [
        name
        for name in free
        if not _words(name) & (_ABOUT | _PREDICTED)
        and not _is_yes_or_no(cells[name])
        and not all(map(_NUMBER.fullmatch, filter(None, cells[name])))
        and _are_labels(cells[name], named=False)
        and all(_differs_within(cells[name], group) for group in groups)
    ]
    return fit[0] if len(fit) == 1 else None


def _candidates(cells: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Columns that may have labels → their values; see `Proposal`."""
    flags = _flags(cells)
    names = [name for name in cells if name not in flags]
    named = named_after(names, "label")
    described = [name for name in names if _words(name) & (_ABOUT | _PREDICTED)]
    values = {
        name: [value for value, _ in Counter(filter(None, cells[name])).most_common()]
        for name in dict.fromkeys([*named, *(n for n in names if n not in described), *described])
    }
    most = {name: len(cells[name]) / (1 if name in named else 2) for name in values}
    return {name: each for name, each in values.items() if 1 < len(each) < most[name]}


def _differs_within(values: Sequence[str], groups: Sequence[str]) -> bool:
    """Whether cells differ within groups, and do not just say what each group is."""
    counts: dict[str, Counter[str]] = {}
    for value, group in zip(values, groups, strict=True):
        if value and group:
            counts.setdefault(group, Counter())[value] += 1
    several = [each for each in counts.values() if each.total() > 1]
    within = sum(each.total() - max(each.values()) for each in several)
    everything = sum(several, Counter[str]())
    return within >= _RARELY * (everything.total() - max(everything.values(), default=0))


def _is_yes_or_no(values: Sequence[str]) -> bool:
    return any(values) and {value.casefold() for value in {*values}} <= _YES_OR_NO


def _flags(cells: Mapping[str, Sequence[str]]) -> list[str]:
    """Columns of yes and no, where there are several."""
    flags = [name for name, values in cells.items() if _is_yes_or_no(values)]
    return flags if len(flags) > 1 else []


def _refuse_missing_header(path: str, text: str, cells: Mapping[str, Sequence[str]]) -> None:
    """Refuse a table whose first row is data: the name of its column of texts is a text."""
    others = [name for name in cells if name != text]
    are_data = [name in cells[name] or _NUMBER.fullmatch(name) for name in others]
    if n_words(text) >= _LONG_NAME and (any(are_data) or not others):
        raise UserError(
            f"{path}: the first row has to name the columns, but it has a text, "
            f'"{shortened(text, 60, " [...]")}". Put a row above it, such as text,label'
        )


def named_after(names: Iterable[str], key: str) -> list[str]:
    """Columns that are named after what a key stands for, the likeliest first."""
    ranked = sorted((rank, name) for name in names if (rank := _rank(name, NAMES[key])))
    others = _ABOUT | _PREDICTED if key == "label" else set()
    return [name for _, name in ranked if not _words(name) & others]


def _words(name: str) -> set[str]:
    """The words of a column's name, without accents.

    >>> sorted(_words("mainThème_2"))
    ['2', 'main', 'theme']
    """
    parts = re.sub(r"([a-z])([A-Z])", r"\1 \2", normalize("NFKD", name))
    return {*re.findall(r"[^\W_]+", re.sub("[\u0300-\u036f]", "", parts).lower())}


def _rank(name: str, known: Sequence[str]) -> tuple[int, int] | None:
    """How well a column's name fits names that are known, the best first; None if it does not.

    >>> _rank("Topic", ("label", "topic")), _rank("main_topic", ("label", "topic"))
    ((0, 1), (1, 1))
    """
    words = _words(name)
    ranks = ((int(words != {word}), place) for place, word in enumerate(known) if word in words)
    return min(ranks, default=None)


def _are_distinct(values: Sequence[str]) -> bool:
    """Whether each cell is an id of its own, as ids are read."""
    ids = set(map(cleaned, values))
    return all(ids) and len(ids) == len(values)


def _are_labels(values: Sequence[str], named: bool = True) -> bool:
    """Whether cells look like labels, in a column that is named after labels or not."""
    n = sum(map(bool, values))
    most = max(min(MOST_TOPICS, n / 2), n / 5) if named else min(MOST_TOPICS, n / 5)
    names = {name for names in _parts(values).values() for name in names if name}
    return len(names) <= most and len(_topics(values)[1]) > 1


def _is_day(text: str) -> bool:
    return len(iso_date(text) or "") == len("2025-09-15")


def _share(values: Sequence[str], fits: Callable[[str], object]) -> float:
    """Share of the cells that are not empty that fit."""
    filled = [value for value in values if value]
    return sum(map(bool, map(fits, filled))) / len(filled) if filled else 0.0


def _topics(cells: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What labels mean that are no topics by themselves, and the topics.

    >>> _topics(["Law; order", "Econ", "Econ", "Other", ""])
    ({'Law; order': 'Law, order', 'Other': 'none'}, ['Econ', 'Law, order'])
    >>> _topics(["Law|Econ", "Econ", "Law"])
    ({'Law|Econ': 'Law;Econ'}, ['Econ', 'Law'])
    """
    cells = [cell for cell in cells if cell not in ("", UNDECIDED)]
    parts_of = _parts(cells)
    counts = Counter(part for cell in cells for part in parts_of[cell])
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
    meant = {label: name_of.get(_alike(label)) or other[label] or NONE_CELL for label in ranked}
    for cell, parts in parts_of.items():
        if len(parts) > 1 and parts != split_cell(cell):  # not separated by semicolons
            names = dict.fromkeys(meant[part] for part in parts)
            meant[cell] = (
                join_cell(name for name in names if name not in MEANINGS.values()) or NONE_CELL
            )
    mapped = {k: v for k, v in sorted(meant.items()) if k != v or v == NONE_CELL}
    return mapped, list(name_of.values())


def _parts(cells: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Cell → the labels in it, several if they are separated and each is in another cell too.

    Names have commas, too: these separate labels only if each of them stands alone elsewhere.
    """
    parts_of = {cell: split_cell(cell.replace("|", SEPARATOR)) for cell in cells}
    n_cells = Counter(part for parts in parts_of.values() for part in parts)
    for cell, parts in parts_of.items():
        by_comma = split_cell(cell.replace(",", SEPARATOR)) if "," in cell else ()
        if len(by_comma) > 1 and parts_of.keys() >= {*by_comma}:
            parts_of[cell] = by_comma
        elif not {SEPARATOR, "|"} & {*cell} or any(n_cells[part] < 2 for part in parts):
            parts_of[cell] = (cell,)
    return parts_of


def _alike(label: str) -> str:
    """Equal for labels that differ in capitals or in how accents are stored."""
    return normalize("NFC", label).casefold()


def _valid(label: str) -> str:
    """The name of a topic that is like a label. `NONE_CELL` has a meaning of its own."""
    name = cleaned(label.replace(SEPARATOR, ","))
    try:
        return "other" if name == NONE_CELL else Topic(name).name
    except ValueError:
        return "unknown"
