"""Propose meanings of the columns and labels of a table, from their names and contents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from unicodedata import normalize

from paratopic.project.errors import UserError, shortened
from paratopic.project.scripts import n_words
from paratopic.project.source_settings import CONTEXT_COLUMNS, Source
from paratopic.project.topics import NONE_CELL, SEPARATOR, UNDECIDED, Topic, join_cell, split_cell
from paratopic.reading.cells import clean_field, iso_date
from paratopic.reading.tables import DRAWS, label_text

# Key of `Source` → usual names of its column, without accents, the likeliest first.
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
# Words in the names of columns that describe a text's origin, or that a model filled.
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
# Labels that mean none of the topics, or that the row has no label → the meaning.
MEANINGS = {
    **dict.fromkeys(("none", "no topic", "none of the topics"), NONE_CELL),
    **dict.fromkeys("other others sonstige sonstiges andere keine keins".split(), NONE_CELL),
    **dict.fromkeys("autre autres aucun aucune otro otros ninguno ninguna".split(), NONE_CELL),
    **dict.fromkeys("n/a #n/a n.a. na <na> nan null missing uncoded".split(), UNDECIDED),
    **dict.fromkeys("- . -9 -99 -999".split(), UNDECIDED),
}

# A column with more values has no topics, unless its name is that of a column of labels.
MOST_TOPICS = 40
# Fewer groups are too few for cross-validation.
LEAST_GROUPS = 10
_YES_OR_NO = set("0 1 0.0 1.0 true false yes no y n ja nein oui non si sí x".split()) | {""}
# A number or a date.
_NUMBER = re.compile(r"[-+]?\d[-\d.,:/ TZ]*")
# A column name with at least this many words is a text: the table has no header.
_LONG_NAME = 5
# A column describes the groups of rows if less than this share of its variation lies within groups.
_RARELY = 0.1
# An id in a column of any name. Numbers with decimals are no ids.
_ID = re.compile(r"(?!-?\d*\.\d)[\w./-]{1,40}")
# Name of each column → its cells, as text.
_Cells = Mapping[str, Sequence[str]]


class Proposal(NamedTuple):
    """The probable meaning of a table's columns and labels, which a person checks.

    Parameters
    ----------
    columns
        Key of the entry → its column.
    topics
        Topics of the labels, the most frequent first; empty for a table without labels.
    candidates
        Other columns that may have the labels → their values, the most frequent first. Columns with
        usual names of columns of labels come first.
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
    """Propose the meaning of a table's columns and labels, from the columns' names and values.

    The result has an entry of `prepare.sources`, the column of each of its keys, the topics of the
    labels, and other columns that may have labels. `columns` has the values of all rows by name;
    those named "" or as in `CONTEXT_COLUMNS` are left out. `path` names the table in the entry and
    in messages. `label` is the column with the labels (not checked), or "" to search for it; with
    `guess`, the one found may have an unknown name. A `UserError` reports a table without rows,
    with nothing but empty ones, or without a header.
    """
    cells = {
        name: list(map(label_text, values))
        for name, values in columns.items()
        if name and (name == label or name not in CONTEXT_COLUMNS)
    }
    if not any(any(values) for name, values in cells.items() if name != label):
        raise UserError(f"{path}: there are no rows; of a workbook, the first sheet is read")
    column_of = _likely_columns(cells, label, guess)
    _refuse_missing_header(path, column_of["text"] or "", cells)
    keys: dict[str, Any] = {key: _entry(key, name, cells) for key, name in column_of.items()}
    present = {key: name for key, name in column_of.items() if name is not None}
    labels, topics = _meanings(cells.get(present.get("label", ""), []))
    unused = {name: cells[name] for name in cells if name not in present.values()}
    source = Source(path, **keys, labels=labels)
    return Proposal(source, present, topics, _candidates(unused), _flags(unused))


def _likely_columns(cells: _Cells, label: str, guess: bool) -> dict[str, str | None]:
    """Key of `Source` → the column that it probably stands for; None for no column.

    The keys are text, date, id, label and group, and those of `_unreadable_keys`, with None. A
    column with a usual name is chosen if its cells fit: texts are at least a quarter as long as
    those of the longest column, which is the text otherwise; most dates can be read; ids differ;
    groups recur. Dates and ids may also have other names, and dates that recur can be the groups.
    If `label` is "", labels need a usual name or, with `guess`, are those of `_guessed_label`.
    """
    columns: dict[str, str | None] = {"label": label} if label else {}

    def choose(key: str, fits: Callable[[Sequence[str]], bool], extra: Iterable[str]) -> None:
        names = [*columns_named_for(cells, key), *extra]
        columns[key] = next(filter(lambda name: fits(cells[name]), _unused(names, columns)), None)

    # Texts are not much shorter than those of the longest column.
    sizes = {name: sum(map(len, values)) for name, values in cells.items() if name != label}
    longest = max(sizes, key=sizes.__getitem__)
    choose("text", lambda values: 4 * sum(map(len, values)) >= sizes[longest], [longest])
    dated = [name for name in cells if _share(cells[name], _is_day) > 0.5]
    choose("date", lambda values: _share(values, iso_date) > 0.5, dated)
    choose("id", _are_distinct, _like_ids(cells))
    if not label:
        columns["label"] = _named_label(cells, columns)
    repeated_ids = [name for name in cells if _rank(name, NAMES["id"])]
    choose("group", lambda values: 1 < len(set(values)) < len(values), repeated_ids)
    if guess and not columns["label"]:
        columns["label"] = _guessed_label(cells, columns)
    n_dates = len(set(cells.get(columns["date"] or "", ())))
    if columns["group"] is None and LEAST_GROUPS <= n_dates <= len(cells[longest]) / 2:
        columns["group"] = columns["date"]
    return columns | dict.fromkeys(_unreadable_keys(cells, is_grouped=bool(columns["group"])))


def _unreadable_keys(cells: _Cells, is_grouped: bool) -> list[str]:
    """List "position" unless its cells are integers, and "drawn" unless its cells are in `DRAWS`.

    Without groups, the list always has "position", and it has "drawn" if a cell is "article".
    """
    is_integer = re.compile(r"-?\d{1,18}").fullmatch
    draws = set(cells.get("drawn", ()))
    keys = []
    if not (is_grouped and all(map(is_integer, cells.get("position", ())))):
        keys.append("position")
    if not draws <= DRAWS.keys() or ("article" in draws and not is_grouped):
        keys.append("drawn")
    return keys


def _unused(names: Iterable[str], columns: Mapping[str, str | None]) -> list[str]:
    """The names of columns that no key stands for yet."""
    return [name for name in names if name not in columns.values()]


def _like_ids(cells: _Cells) -> list[str]:
    """The columns whose cells look like ids, and whose name is not that of dates."""
    names = [name for name in cells if all(map(_ID.fullmatch, cells[name]))]
    return [name for name in names if not _rank(name, NAMES["date"])]


def _entry(key: str, name: str | None, cells: _Cells) -> str | None:
    """The value of a key in `prepare.sources`; "" where the default has the same meaning."""
    if name is None:
        return None if key in cells or key == "label" else ""
    return "" if name == key else name


def _named_label(cells: _Cells, columns: Mapping[str, str | None]) -> str | None:
    """The likeliest column with labels and a usual name that no key in `columns` has, or None.

    A column of yes and no counts only if its whole name is usual, or if there is only one.
    """
    names = _unused(columns_named_for(cells, "label"), columns)
    labelled = [name for name in names if _are_labels(cells[name])]
    # A column topic_trade of yes and no is about one topic only.
    plain = [n for n in labelled if not _is_yes_or_no(cells[n]) or n.casefold() in NAMES["label"]]
    if not plain and not _flags(cells):
        plain = labelled
    return next(iter(plain), None)


def _guessed_label(cells: _Cells, columns: Mapping[str, str | None]) -> str | None:
    """The column that has labels, if exactly one that is not in `columns` may; else None.

    Columns of numbers, of yes and no, of predictions, or on the text's article or author have none,
    nor do columns whose cells hardly differ within a group or, say, an author. Without groups, a
    column on article or author makes the result None, because other columns may describe these,
    too. So does a column with a usual name for labels: a person is going to fill it.
    """
    unused = _unused(cells, columns)
    about = [name for name in unused if _words(name) & _ABOUT and len(set(cells[name])) > 1]
    if columns_named_for(unused, "label") or (about and not columns["group"]):
        return None
    groups = [cells[name] for name in (*about, columns["group"]) if name]
    labelled = [name for name in unused if _may_be_labels(name, cells[name])]
    for group in groups:
        labelled = [name for name in labelled if _differs_within(cells[name], group)]
    return labelled[0] if len(labelled) == 1 else None


def _may_be_labels(name: str, values: Sequence[str]) -> bool:
    """Whether a column with an unknown name may have labels, by its name and its cells."""
    return (
        not _words(name) & (_ABOUT | _PREDICTED)
        and not _is_yes_or_no(values)
        and not all(map(_NUMBER.fullmatch, filter(None, values)))
        and _are_labels(values, has_usual_name=False)
    )


def _candidates(cells: _Cells) -> dict[str, list[str]]:
    """Columns that may have labels → their different filled cells, the most frequent first.

    Of n rows, columns with usual names have 2 to n - 1 different ones, and come first. Others have
    2 to below n / 2; those on the text's origin or predictions are last. `_flags` are left out.
    """
    flags = _flags(cells)
    names = [name for name in cells if name not in flags]
    usual = columns_named_for(names, "label")
    described = [name for name in names if _words(name) & (_ABOUT | _PREDICTED)]
    plain = [name for name in names if name not in described]
    candidates: dict[str, list[str]] = {}
    for name in dict.fromkeys([*usual, *plain, *described]):
        counts = Counter(filter(None, cells[name]))
        limit = len(cells[name]) / (1 if name in usual else 2)
        if 1 < len(counts) < limit:
            candidates[name] = [value for value, _ in counts.most_common()]
    return candidates


def _differs_within(values: Sequence[str], groups: Sequence[str]) -> bool:
    """Whether at least `_RARELY` of the cells' variation lies within groups, or nothing varies.

    The variation of cells is the number of those that differ from the most frequent one. Rows with
    an empty cell or group, and groups of one row, do not count.
    """
    counts: dict[str, Counter[str]] = {}
    for value, group in zip(values, groups, strict=True):
        if value and group:
            counts.setdefault(group, Counter())[value] += 1
    large = [counter for counter in counts.values() if counter.total() > 1]
    within = sum(counter.total() - max(counter.values()) for counter in large)
    overall = sum(large, Counter[str]())
    return within >= _RARELY * (overall.total() - max(overall.values(), default=0))


def _is_yes_or_no(values: Sequence[str]) -> bool:
    return any(values) and {value.casefold() for value in {*values}} <= _YES_OR_NO


def _flags(cells: _Cells) -> list[str]:
    """The columns of yes and no, if there are several."""
    flags = [name for name, values in cells.items() if _is_yes_or_no(values)]
    return flags if len(flags) > 1 else []


def _refuse_missing_header(path: str, text: str, cells: _Cells) -> None:
    """Raise a UserError if the name `text` is a sentence, and another, if any, a number or cell."""
    names = [name for name in cells if name != text]
    are_data = [name in cells[name] or _NUMBER.fullmatch(name) for name in names]
    if n_words(text) >= _LONG_NAME and (any(are_data) or not names):
        raise UserError(
            f"{path}: the first row has to name the columns, but it has a text, "
            f'"{shortened(text, 60, " [...]")}". Put a row above it, such as text,label'
        )


def columns_named_for(names: Iterable[str], key: str) -> list[str]:
    """The columns that have a usual name for a key of `Source`, the likeliest first."""
    ranks = {name: _rank(name, NAMES[key]) for name in names}
    ranked = sorted((rank, name) for name, rank in ranks.items() if rank)
    excluded = _ABOUT | _PREDICTED if key == "label" else set()
    return [name for _, name in ranked if not _words(name) & excluded]


def _words(name: str) -> set[str]:
    """The words of a column's name, without accents.

    >>> sorted(_words("mainThème_2"))
    ['2', 'main', 'theme']
    """
    parts = re.sub(r"([a-z])([A-Z])", r"\1 \2", normalize("NFKD", name))
    return {*re.findall(r"[^\W_]+", re.sub("[\u0300-\u036f]", "", parts).lower())}


def _rank(name: str, known_names: Sequence[str]) -> tuple[int, int] | None:
    """Rank a column's name by known names among its words, the smallest rank first; None for none.

    >>> _rank("Topic", ("label", "topic")), _rank("main_topic", ("label", "topic"))
    ((0, 1), (1, 1))
    """
    words = _words(name)
    ranks = [(int(words != {word}), n) for n, word in enumerate(known_names) if word in words]
    return min(ranks, default=None)


def _are_distinct(values: Sequence[str]) -> bool:
    """Whether the cells are different ids, and none is empty."""
    ids = set(map(clean_field, values))
    return all(ids) and len(ids) == len(values)


def _are_labels(values: Sequence[str], has_usual_name: bool = True) -> bool:
    """Whether n filled cells have two topics or more, and few different labels.

    At most n / 5 and `MOST_TOPICS` are few; with a usual name, n / 2 up to `MOST_TOPICS`, or n / 5.
    """
    n = sum(map(bool, values))
    most_labels = min(MOST_TOPICS, n / 5)
    if has_usual_name:
        most_labels = max(min(MOST_TOPICS, n / 2), n / 5)
    labels = {label for labels in _parts(values).values() for label in labels if label}
    return len(labels) <= most_labels and len(_meanings(values)[1]) > 1


def _is_day(text: str) -> bool:
    return len(iso_date(text) or "") == len("2025-09-15")


def _share(values: Sequence[str], fits: Callable[[str], object]) -> float:
    """Share of the cells for which `fits` is true, among those that are not empty."""
    filled = [value for value in values if value]
    return sum(map(bool, map(fits, filled))) / len(filled) if filled else 0.0


def _meanings(cells: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Label or cell that is no topic's name → its meaning (`Source.labels`); and the topics.

    The most frequent topic comes first. Empty cells and `UNDECIDED` are left out.

    >>> _meanings(["Law; order", "Econ", "Econ", "Other", ""])
    ({'Law; order': 'Law, order', 'Other': 'none'}, ['Econ', 'Law, order'])
    >>> _meanings(["Law|Econ", "Econ", "Law"])
    ({'Law|Econ': 'Law;Econ'}, ['Econ', 'Law'])
    """
    cells = [cell for cell in cells if cell not in ("", UNDECIDED)]
    parts_of = _parts(cells)
    counts = Counter(part for cell in cells for part in parts_of[cell])
    meanings, topics = _label_meanings(sorted(counts, key=lambda label: (-counts[label], label)))
    for cell, parts in parts_of.items():
        if len(parts) > 1 and parts != split_cell(cell):  # semicolons do not separate them
            names = dict.fromkeys(meanings[part] for part in parts)
            topical = [name for name in names if name not in MEANINGS.values()]
            meanings[cell] = join_cell(topical) or NONE_CELL
    changed = {k: v for k, v in sorted(meanings.items()) if k != v or v == NONE_CELL}
    return changed, topics


def _label_meanings(labels: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Label → its topic or, if two topics are left, its meaning in `MEANINGS`; and the topics."""
    fixed = {label: MEANINGS.get(label.lower().strip("()")) for label in labels}
    topic_of = _topic_names([label for label in labels if not fixed[label]])
    if len(topic_of) < 2:
        topic_of = _topic_names(labels)
    meanings = {label: topic_of.get(_fold(label)) or fixed[label] or NONE_CELL for label in labels}
    return meanings, list(topic_of.values())


def _topic_names(labels: Iterable[str]) -> dict[str, str]:
    """Label from `_fold` → the valid name of its topic, with " 2" added if another one has it."""
    topic_of: dict[str, str] = {}
    for label in labels:
        if _fold(label) not in topic_of:
            name = _topic_name(label)
            while name in topic_of.values():
                name += " 2"
            topic_of[_fold(label)] = name
    return topic_of


def _parts(cells: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Cell → its labels; the cell itself, even "", if no separator divides it into several.

    Semicolons and bars do if each part is a part of another cell, too. Commas, which may belong to
    a name, do only if each part is a cell itself.
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


def _fold(label: str) -> str:
    """A key that is equal for labels that differ only in case or in how accents are stored."""
    return normalize("NFC", label).casefold()


def _topic_name(label: str) -> str:
    """A valid name of a topic for a label; it is never `NONE_CELL`."""
    name = clean_field(label.replace(SEPARATOR, ","))
    try:
        return "other" if name == NONE_CELL else Topic(name).name
    except ValueError:
        return "unknown"
