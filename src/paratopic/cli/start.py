"""The commands `paratopic init` and `paratopic ui`.

A new project is a folder with the pipeline of the installed package, and topics of one's own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from paratopic.cli.project import LABEL, TRAIN, print_steps
from paratopic.evaluation.estimates import LEAST_LABELS
from paratopic.project.codebook import first_definition, written
from paratopic.project.errors import UserError, plural
from paratopic.project.files import LOG, PARAMS, template, write_text
from paratopic.project.sources import KEYS, NONE, Source
from paratopic.project.sources import written as sources_text
from paratopic.project.topics import Topic, Topics
from paratopic.reading.cells import iso_date
from paratopic.reading.columns import Proposal, propose
from paratopic.reading.files import SUFFIXES, find_files
from paratopic.reading.tables import TABLES, LabelledTable, read_labelled_table, read_table
from paratopic.tracking import ui as page

# The files of a project that are the same in each, relative to its root.
SAME = ("dvc.yaml", ".gitattributes", ".gitignore", ".dvcignore", ".dvc")
LABELS = Path("seeds") / LOG
README = Path("README.md")

# What comes after the start.
DEFINE = {"edit params.yaml": "define each topic: with few labels, models rely on it"}
LABEL_GROUPS = {
    "paratopic label --random --by COLUMN --n 60": "only for shares by group, such as "
    f"decade: draws from groups with the fewest labels ({LEAST_LABELS} each give an interval)"
}
REPORT = {
    "paratopic report": "see how good they are",
    "paratopic shares": "estimate the shares of the topics",
}

# Who commits where git knows no user.
_NOBODY = ("-c", "user.name=paratopic", "-c", "user.email=paratopic@localhost")
# The codebook in params.yaml, up to the next section.
_CODEBOOK = re.compile(r"(?ms)^  codebook:\n.*?(?=^\S)")
# How topics get definitions where they have none.
_FORM = """  # In place of the name alone, write:
  #   - name: sport
  #     definition: "Matches, clubs and athletes."
"""
# Where its paragraphs come from.
SEEDS = Source("seeds")
_SOURCES = re.compile(r"(?m)^  sources: .*\n")
# The language of this repository's articles.
_LANGUAGE = re.compile(r"(?m)^language: .*\n")


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path(),
    topics: Annotated[
        str | None,
        typer.Option(help="Names of the topics, separated by commas.", show_default=False),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help=f"Labelled table ({', '.join(TABLES)}), whose labels become the topics.",
            show_default=False,
        ),
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="The labelled rows are a random sample of the table.")
    ] = False,
    articles: Annotated[
        Path | None,
        typer.Option(
            help="Folder of articles, which stay where they are; by default those in seeds/.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start a project of your own: its settings, pipeline and a file for labels."""
    names = [] if topics is None else [name.strip() for name in topics.split(",")]
    if table is not None:
        if articles:
            raise UserError("--table and --articles cannot be used together; leave one out")
        _init_with_table(folder, names, table, random)
        return
    if random:
        raise UserError("--random says how the labelled rows of a table were chosen; add --table")
    if not names:
        raise UserError(
            "name the topics (--topics sport,weather), or take them from the labels of a table "
            "(--table FILE)"
        )
    source, add = SEEDS, {"cp ARTICLES seeds/": f"add your texts ({', '.join(SUFFIXES)})"}
    if articles:
        find_files([str(articles)], SUFFIXES)  # as stage prepare does
        source, add = Source(_from(folder, articles)), {}
    note = create(folder, new_topics(names), source)
    if not (folder / source.path / "metadata.csv").exists():
        add[f"create {source.path}/metadata.csv"] = (
            "if you know dates or sources: columns article (a file's name), date, source; cells "
            "may be empty"
        )
    _print_created(folder, note, add | DEFINE | LABEL | TRAIN | REPORT)


def ui(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the page; 0 takes a free one. Default: 5000, or a free one if 5000 is "
            "taken.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare the runs in MLflow: start its server for this project, and open its page."""
    page.main(port)


def new_topics(names: Sequence[str]) -> Topics:
    """Make a codebook of names, which define themselves until somebody writes something better."""
    try:
        return Topics("single", tuple(Topic(name, first_definition(name)) for name in names))
    except ValueError as error:
        raise UserError(f"--topics: {error}") from None


def create(folder: Path, topics: Topics, source: Source = SEEDS) -> str:
    """Make a folder a project, in a git repository of its own if it lies in none.

    What is in the folder stays. The repository's first commit has the project's files, and the
    content of seeds/ and the source, if it is inside.

    Parameters
    ----------
    source
        The source of paragraphs, with a path from the folder; by default the articles in seeds/.

    Returns
    -------
    What there is to say about the repository; "" for nothing.

    Raises
    ------
    UserError
        The folder has a file that a project has.
    """
    new = [Path(name) for name in (*SAME, PARAMS, LABELS, README)]
    if present := [str(folder / path) for path in new if (folder / path).exists()]:
        raise UserError(
            f"{', '.join(present)} would be overwritten. Edit {PARAMS} if this is a project "
            "already; or else name another folder, or move them away"
        )
    (folder / LABELS).parent.mkdir(parents=True, exist_ok=True)
    for name in SAME:
        original = template() / name
        if original.is_dir():
            # Caches and settings of this machine are no part of a project.
            local = shutil.ignore_patterns("cache", "tmp", "config.local")
            shutil.copytree(original, folder / name, ignore=local)
        else:
            shutil.copyfile(original, folder / name)
    write_text(folder / PARAMS, _params(topics, source))
    write_text(folder / LABELS, "paragraph,topics,text\n")
    readme = Path(__file__).with_name("readme.md").read_text(encoding="utf-8")
    write_text(
        folder / README,
        readme.format(name=folder.resolve().name, suffixes=", ".join(SUFFIXES), source=source.path),
    )
    ours = [*map(str, new), str(LABELS.parent)]
    if not Path(source.path).is_absolute():  # what is elsewhere is not the repository's
        ours.append(source.path)
    return _commit(folder, ours)


def _init_with_table(folder: Path, names: list[str], table: str, random: bool) -> None:
    place = Path(table)
    if place.suffix.lower() not in TABLES:
        raise UserError(f"--table {table}: a table can be {', '.join(TABLES)}")
    columns = read_table(place).columns
    find_files([str(place)], TABLES)  # as stage prepare does, which refuses some names
    proposal = propose(columns, _from(folder, place), guess=not names)
    if proposal.topics and names:
        raise UserError(
            f"--table {table}: the labels in its column {proposal.columns['label']} become the "
            "topics; leave out --topics"
        )
    if not proposal.topics and not names:
        raise UserError(
            f"--table {table}: no column looks like labels; name the topics, such as --topics "
            "sport,weather. If a column has labels, name it in params.yaml then (label: COLUMN). A "
            "column of 0 and 1 for each topic has to become one column with names: sport;weather."
        )
    proposal = proposal._replace(source=replace(proposal.source, random=random))
    # What stage prepare would refuse is said before anything is written.
    rows = read_labelled_table(place, [], replace(proposal.source, path=str(place)))
    several = bool((rows.answers["topics"].map(len) > 1).any())
    found = tuple(proposal.topics)
    topics = new_topics(names) if names else Topics("multi" if several else "single", found)
    note = create(folder, topics, proposal.source)
    _print_proposal(table, list(columns), proposal, rows)
    if len(rows.answers) == len(rows.paragraphs):
        print("  note   all rows are labelled: for shares of a larger corpus, add its other texts")
    if topics.most > 1:
        print("  mode   multi: some rows have several topics; in mode single the first would count")
    check = {"check params.yaml": "see that tables are read as shown above (prepare.sources)"}
    if len(rows.answers) and not random:
        check["add random: true"] = (
            "to the table in prepare.sources, if you drew the labelled rows at random from it"
        )
    label = LABEL_GROUPS if random else LABEL
    if len(rows.answers) == len(rows.paragraphs):
        label = {}
    _print_created(folder, note, check | DEFINE | label | TRAIN | REPORT)


def _from(folder: Path, path: Path) -> str:
    """A path as the project in a folder writes it: from there if it is inside, or else whole."""
    whole, root = path.resolve(), folder.resolve()
    return (whole.relative_to(root) if whole.is_relative_to(root) else whole).as_posix()


def _print_proposal(table: str, names: list[str], proposal: Proposal, rows: LabelledTable) -> None:
    """Say which of the columns named, and which labels, are taken for what."""
    columns, labels = proposal.columns, proposal.source.labels
    frame, answers, fields = rows
    meanings = {
        "text": f"{frame['text'].str.len().mean():.0f} characters on average",
        "label": f"{len(answers)} rows are labelled, {len(frame) - len(answers)} are not",
        "group": f"{plural(frame['article'].nunique(), 'article')}, each held out as a whole",
        "id": f"ids of paragraphs, such as {frame['id'][0]}",
    }
    if columns.get("group") == columns.get("date"):
        meanings["group"] += " (no column names the article: rows of one date count as one)"
    elif not {"position", "text_preceding"} & {*names}:
        meanings["group"] += " (no column position, so rows are read without their neighbours)"
    if "date" in fields:
        meanings["date"] = _dates(fields["date"].dropna().tolist())
    print(f"{table}: {plural(len(frame), 'row')}. They are read as follows:")
    for key in (key for key in meanings if key in columns):
        print(f"  {key:6} column {columns[key]}: {meanings[key]}")
    if "group" not in columns:
        print("  group  no column: each row counts as an article of its own")
    if kept := [str(name) for name in fields if name != "date"]:
        print(f"  kept   {', '.join(kept)}")
    unread = {*names} - {*columns.values()}
    for key in (key for key in KEYS if key in unread and getattr(proposal.source, key) is None):
        print(f"  {key:6} not read: the column {key} does not have what is expected of it")
    if missing := [label for label in labels if proposal.source.meaning(label) is None]:
        print(f"  ?      no label: rows labelled {', '.join(missing)}")
    counts = Counter(name for names in answers["topics"] for name in names or [NONE])
    for name in filter(counts.get, [*proposal.topics, NONE]):
        what = "none   of the topics" if name == NONE else f"topic  {name}"
        meant = ", ".join(label for label, topic in labels.items() if topic == name)
        labelled = f", labelled {meant}" if meant else ""
        print(f"  {what}: {plural(counts[name], 'row')}{labelled}")


def _dates(dates: Sequence[str]) -> str:
    """The range of dates, and how many of them are none."""
    known = [iso for date in dates if (iso := iso_date(date))]
    span = f"{min(known)} to {max(known)}" if known else "no date"
    unknown = len(dates) - len(known)
    return f"{span}, and {unknown} that cannot be read" if unknown else span


def _print_created(folder: Path, note: str, steps: dict[str, str]) -> None:
    """Say that there is a project, what its repository has, and what comes next."""
    print(f"{'This folder' if folder == Path() else folder} is now a paratopic project.")
    if note:
        print(note)
    go = {} if folder == Path() else {f"cd {folder}": "go to the project"}
    print_steps(go | steps)


def _params(topics: Topics, source: Source) -> str:
    """The settings of this repository with another codebook and source."""
    form = "" if topics.descriptions else _FORM
    entries = "".join(written(topic, "    ") for topic in topics.topics)
    codebook = (
        "  # Define each topic in a sentence or two: with few labels, models rely on definitions.\n"
        f"{form}  codebook:\n{entries}\n"
    )
    params = (template() / PARAMS).read_text(encoding="utf-8")
    params = _LANGUAGE.sub("language: null\n", params)
    params = _CODEBOOK.sub(lambda _: codebook, params)
    params = re.sub("(?m)^  mode: .*", f"  mode: {topics.mode}", params, count=1)
    return _SOURCES.sub(lambda _: f"  sources:\n{sources_text(source, '    ')}", params)


def _commit(folder: Path, paths: Sequence[str]) -> str:
    """Give the folder a repository, which DVC needs, and a commit, which experiments start from.

    Nothing is committed to a repository that is there already. Without git, DVC is told to go
    without it. Returns what there is to say; "" for nothing.
    """
    try:
        if not _git(folder, "rev-parse", "--is-inside-work-tree"):
            return f"Experiments start from a commit: git add {' '.join(paths)} && git commit"
        if _git(folder, "init", "--quiet"):
            raise FileNotFoundError
    except OSError:
        with (folder / ".dvc" / "config").open("a", encoding="utf-8") as config:
            config.write("    no_scm = true\n")
        return "Without git there are no experiments (`dvc exp`)."
    # What an own configuration of git asks for, such as hooks, is for own commits.
    commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", "Start the project")
    _git(folder, "add", "--", *paths)
    if not _git(folder, *commit):
        return ""
    if _git(folder, *_NOBODY, *commit):
        return "git refused the first commit, which experiments need: run `git commit` to see why."
    return (
        "git knows no user here, so the first commit is by paratopic; `git config user.name` sets "
        "one."
    )


def _git(folder: Path, *words: str) -> int:
    """Run git in a folder; returns its exit status."""
    return subprocess.run(["git", *words], cwd=folder, capture_output=True).returncode
