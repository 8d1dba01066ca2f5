"""The commands `paratopic init` and `paratopic ui`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml.comments import CommentedMap

from paratopic.cli.next_steps import LABEL, LABEL_GROUPS, TRAIN, label_step, print_steps
from paratopic.cli.proposal import doubts, print_proposal, proposal_of
from paratopic.labels.log import read_lines
from paratopic.project.codebook import edit, listed, set_topics, set_value
from paratopic.project.errors import MOST_NAMED, UserError, in_short, plural
from paratopic.project.files import LOG, Paths, refuse_outside, template, write_text
from paratopic.project.folder import Project
from paratopic.project.source_settings import Source, entry
from paratopic.project.topics import Topic, Topics, first_definition
from paratopic.reading.article_files import SUFFIXES, find_files
from paratopic.reading.outside import trust
from paratopic.reading.tables import TABLES, read_labelled_table
from paratopic.tracking import ui as page

# The files of a project that are the same in each, relative to its root.
SAME = ("dvc.yaml", ".gitattributes", ".gitignore", ".dvcignore", ".dvc")
LABELS = Path("seeds") / LOG
README = Path("README.md")

# What comes after the start.
REPORT = {
    "paratopic report": "see how good they are",
    "paratopic shares": "estimate the shares of the topics",
}

# Who commits where git knows no user.
_NOBODY = ("-c", "user.name=paratopic", "-c", "user.email=paratopic@localhost")
# Where its paragraphs come from.
SEEDS = Source("seeds")


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path(),
    topics: Annotated[
        str | None, typer.Option(help="Names of the topics, separated by commas.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help=f"Labelled table ({', '.join(TABLES)}), whose labels become the topics."),
    ] = None,
    label: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of the table with the labels; by default it is found by its name.",
            show_default=False,
        ),
    ] = "",
    random: Annotated[
        bool, typer.Option("--random", help="The labelled rows are a random sample of the table.")
    ] = False,
    articles: Annotated[
        Path | None,
        typer.Option(
            help="Folder of articles, which stay where they are; by default those in seeds/."
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Replace topics and sources of a project that is there; labels.csv and all other "
            "settings stay.",
        ),
    ] = False,
) -> None:
    """Start a project of your own: its settings, pipeline and a file for labels."""
    names = [] if topics is None else [name.strip() for name in topics.split(",")]
    if table is not None:
        if articles:
            raise UserError("--table and --articles cannot be used together; leave one out")
        _init_with_table(folder, names, table, label, random, again)
        return
    if random or label:
        raise UserError("--random and --label are about the rows of a table; add --table")
    if not names:
        raise UserError(
            "name the topics (--topics sport,weather), or take them from the labels of a table "
            "(--table FILE)"
        )
    source, add = SEEDS, {"cp ARTICLES seeds/": f"add your texts ({', '.join(SUFFIXES)})"}
    if articles:
        find_files([str(articles)], SUFFIXES)  # as stage prepare does
        source, add = Source(_from(folder, articles)), {}
    note = (renew if again else create)(folder, new_topics(names), source)
    if not (folder / source.path / "metadata.csv").exists():
        add[f"create {source.path}/metadata.csv"] = (
            "if you know dates or sources: columns article (a file's name), date, source; cells "
            "may be empty"
        )
    _print_start(folder, note, add, LABEL)


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = page.PORT,
) -> None:
    """Compare the runs in MLflow: start its server for this project, and open its page."""
    page.main(Project(), port)


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
    What there is to say about the project and its repository.

    Raises
    ------
    UserError
        The folder has a file that a project has.
    """
    copied = [Path(name) for name in (*SAME, Paths().params, Paths().codebook)]
    new = [*copied, LABELS, README]
    if present := [str(folder / path) for path in new if os.path.lexists(folder / path)]:
        raise UserError(
            f"{', '.join(present)} would be overwritten. If this is a project already, edit "
            "its files, or add --again to replace its topics and sources alone; or else name "
            "another folder, or move them away"
        )
    refuse_outside(folder / LABELS, folder)
    (folder / LABELS).parent.mkdir(parents=True, exist_ok=True)
    for name in copied:
        original = template() / name
        if original.is_dir():
            # Caches and settings of this machine are no part of a project.
            local = shutil.ignore_patterns("cache", "tmp", "config.local")
            shutil.copytree(original, folder / name, ignore=local)
        else:
            shutil.copyfile(original, folder / name)
    paths = Paths(folder)
    edit(paths.params, folder, partial(_begin, topics, source))
    edit(paths.codebook, folder, partial(set_topics, topics))
    write_text(folder / LABELS, "paragraph,topics,text\n")
    readme = Path(__file__).with_name("readme.md").read_text(encoding="utf-8")
    write_text(
        folder / README,
        readme.format(name=folder.resolve().name, suffixes=", ".join(SUFFIXES), source=source.path),
    )
    ours = [*map(str, new), str(LABELS.parent)]
    if not Path(source.path).is_absolute():  # what is elsewhere is not the repository's
        ours.append(source.path)
    _agree(source, folder)
    where = "This folder" if folder == Path() else folder
    return f"{where} is now a paratopic project.\n{_commit(folder, ours)}".rstrip()


def _agree(source: Source, folder: Path) -> None:
    """Let a project read its source, which may lie elsewhere, without a question."""
    with suppress(OSError):
        trust(Project(folder), [source.path] if Path(source.path).is_absolute() else [])


def renew(folder: Path, topics: Topics, source: Source) -> str:
    """Replace the topics and sources of a project, as `create` sets them; returns what was there.

    Its labels and all other settings stay. A topic that was there before keeps its definition, its
    patterns and its former names. Labels with the name of any other one are to be given again, as
    after `paratopic codebook drop`.

    Raises
    ------
    UserError
        There is no project, its labels cannot be read, or one of its files has a form that cannot
        be edited.
    """
    project = Project(folder)
    paths, before, log = project.paths, project.params, project.log
    lines = read_lines(log) if log and log.exists() else []
    try:
        topics = _kept(topics, before.topics, {name for line in lines for name in line.names})
    except ValueError as error:
        raise UserError(f"{paths.topics}: {error}") from None
    edit(paths.params, folder, partial(_set, topics, source))
    edit(paths.topics, folder, partial(set_topics, topics))
    _agree(source, folder)
    n_open = sum(bool(topics.today(line.names).retired) for line in lines)
    return "\n".join(
        [
            "Topics and prepare.sources are new; all other settings and labels stay.",
            f"  topics were   {in_short(before.topics.names, MOST_NAMED)}",
            f"  sources were  {', '.join(before.prepare.paths)}",
            *([f"{plural(n_open, 'label')} in {log} to be given again"] if n_open else []),
        ]
    )


def _kept(topics: Topics, before: Topics, used: Collection[str]) -> Topics:
    """New topics, with what the codebook before says of them and of names that labels use."""
    known = {topic.name: topic for topic in before.topics}
    old = [(known.get(topic.name, topic), topic) for topic in topics.topics]
    codebook = tuple(replace(o, definition=o.definition or new.definition) for o, new in old)
    names = {name for topic in codebook for name in (topic.name, *topic.was)}
    gone = [name for name in before.all_names if name in used and name not in names]
    parts = {name: before.retired.get(name, ()) for name in gone}
    retired = {name: tuple(part for part in parts[name] if part in names) for name in gone}
    return replace(topics, codebook=codebook, retired=retired)


def _init_with_table(
    folder: Path, names: list[str], table: str, label: str, random: bool, again: bool
) -> None:
    path = _from(folder, Path(table))
    proposal, columns = proposal_of(names, table, path, label)
    proposal = proposal._replace(source=replace(proposal.source, random=random))
    # What stage prepare would refuse is said before anything is written.
    find_files([table], TABLES)
    rows = read_labelled_table(Path(table), [], replace(proposal.source, path=table))
    several = not names and bool((rows.answers["topics"].map(len) > 1).any())
    found = tuple(proposal.topics)
    topics = new_topics(names) if names else Topics("multi" if several else "single", found)
    note = (renew if again else create)(folder, topics, proposal.source)
    print_proposal(table, columns, proposal, rows)
    for line in doubts(proposal, label, topics):
        print(f"  note   {line}")
    all_labelled = len(rows.answers) == len(rows.paragraphs)
    if all_labelled:
        print("  note   all rows are labelled: for shares of a larger corpus, add its other texts")
    if several:
        print("  mode   multi: some rows have several topics; in mode single the first would count")
    check = {"check params.yaml": "see that tables are read as shown above (prepare.sources)"}
    if len(rows.answers) and not random:
        check["add random: true"] = (
            "to the table in prepare.sources, if you drew the labelled rows at random from it"
        )
    to_label = LABEL_GROUPS if random else label_step(rows.fields)
    _print_start(folder, note, check, {} if all_labelled else to_label)


def _from(folder: Path, path: Path) -> str:
    """A path as the project in a folder writes it: from there if it is inside, or else whole."""
    whole, root = path.resolve(), folder.resolve()
    return (whole.relative_to(root) if whole.is_relative_to(root) else whole).as_posix()


def _print_start(folder: Path, note: str, check: dict[str, str], to_label: dict[str, str]) -> None:
    """Say what was done, and what comes next."""
    print(note)
    go = {} if folder == Path() else {f"cd {folder}": "go to the project"}
    file = Paths(folder).topics.relative_to(folder)
    define = {f"edit {file}": "define each topic: with few labels, models rely on it"}
    print_steps(go | check | define | to_label | TRAIN | REPORT)


def _begin(topics: Topics, source: Source, file: CommentedMap) -> None:
    """Make the params.yaml of this repository that of a new project."""
    file["language"] = None
    _set(topics, source, file)


def _set(topics: Topics, source: Source, file: CommentedMap) -> None:
    """Set the mode and the source of a params.yaml."""
    path = entry(source)
    sources = listed([path]) if isinstance(path, str) else [path]
    for section, key, value in (("topics", "mode", topics.mode), ("prepare", "sources", sources)):
        if file[section]:
            set_value(file[section], key, value)
        else:
            set_value(file, section, CommentedMap({key: value}))


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
