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
from paratopic.cli.proposal import label_warnings, print_proposal, read_proposal
from paratopic.labels.log import read_lines
from paratopic.project.codebook import edit_yaml, flow_list, set_topics, set_value
from paratopic.project.errors import MOST_NAMED, UserError, plural, shortened_list
from paratopic.project.files import LABELS_FILE, Paths, refuse_outside, template_folder, write_text
from paratopic.project.folder import Project
from paratopic.project.source_settings import Source, source_entry
from paratopic.project.topics import Topic, Topics, default_definition
from paratopic.reading.article_files import SUFFIXES, find_files
from paratopic.reading.outside import trust
from paratopic.reading.tables import TABLES, read_labelled_table
from paratopic.tracking import ui as page

# Files that are the same in every project, relative to its root.
COPIED = ("dvc.yaml", ".gitattributes", ".gitignore", ".dvcignore", ".dvc")
LABELS = Path("seeds") / LABELS_FILE
README = Path("README.md")

# The last steps of a new project.
REPORT = {
    "paratopic report": "see how good they are",
    "paratopic shares": "estimate the shares of the topics",
}

# Author of the first commit if git knows no user.
_UNKNOWN_USER = ("-c", "user.name=paratopic", "-c", "user.email=paratopic@localhost")
SEEDS = Source("seeds")  # Default source of paragraphs.


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
    source, steps = SEEDS, {"cp ARTICLES seeds/": f"add your texts ({', '.join(SUFFIXES)})"}
    if articles:
        find_files([str(articles)], SUFFIXES)  # It raises the errors of stage prepare.
        source, steps = Source(_source_path(folder, articles)), {}
    note = (renew if again else create)(folder, new_topics(names), source)
    if not (folder / source.path / "metadata.csv").exists():
        steps[f"create {source.path}/metadata.csv"] = (
            "if you know dates or sources: columns article (a file's name), date, source; cells "
            "may be empty"
        )
    _print_start(folder, note, steps, LABEL)


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = page.PORT,
) -> None:
    """Compare the runs in MLflow: start its server for this project, and open its page."""
    page.main(Project(), port)


def new_topics(names: Sequence[str]) -> Topics:
    """Make a codebook in mode single, with names as definitions; UserError if a name is invalid."""
    try:
        return Topics("single", tuple(Topic(name, default_definition(name)) for name in names))
    except ValueError as error:
        raise UserError(f"--topics: {error} (commas separate topics)") from None


def create(folder: Path, topics: Topics, source: Source = SEEDS) -> str:
    """Make a folder a project, and a git repository with a first commit unless it is in one.

    The path of `source` is absolute or from the folder, by default seeds/. The commit contains the
    project's files, the content of seeds/, and the source if it is in the folder. A UserError names
    files that would be overwritten; others stay. The result is a message on project and repository.
    """
    copied = [Path(name) for name in (*COPIED, Paths().params, Paths().codebook)]
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
        original = template_folder() / name
        if original.is_dir():
            # Caches and settings of this machine are no part of a project.
            local = shutil.ignore_patterns("cache", "tmp", "config.local")
            shutil.copytree(original, folder / name, ignore=local)
        else:
            shutil.copyfile(original, folder / name)
    paths = Paths(folder)
    edit_yaml(paths.params, folder, partial(_edit_new_params, topics, source))
    edit_yaml(paths.codebook, folder, partial(set_topics, topics))
    write_text(folder / LABELS, "paragraph,topics,text\n")
    readme = Path(__file__).with_name("readme.md").read_text(encoding="utf-8")
    title, suffixes = folder.resolve().name, ", ".join(SUFFIXES)
    write_text(folder / README, readme.format(name=title, suffixes=suffixes, source=source.path))
    committed = [*map(str, new), str(LABELS.parent)]
    # Git cannot add files outside of the repository.
    if not Path(source.path).is_absolute() and source.path not in committed:
        committed.append(source.path)
    _trust_source(source, folder)
    subject = "This folder" if folder == Path() else folder
    return f"{subject} is now a paratopic project.\n{_commit(folder, committed)}".rstrip()


def _trust_source(source: Source, folder: Path) -> None:
    """Allow a new project to read its source, which may be outside of it."""
    with suppress(OSError):
        trust(Project(folder), [source.path] if Path(source.path).is_absolute() else [])


def renew(folder: Path, topics: Topics, source: Source) -> str:
    """Replace the topics and sources of a project, and return a message with the old ones.

    Labels and all other settings stay. A topic that was there keeps its definition, patterns and
    former names. Paragraphs with a label of another topic have to be labelled again. A UserError
    reports a missing project, labels that cannot be read, or a file that cannot be edited.
    """
    project = Project(folder)
    paths, before, log = project.paths, project.params, project.log
    lines = read_lines(log) if log and log.exists() else []
    try:
        used = {name for line in lines for name in line.names}
        topics = _with_known_topics(topics, before.topics, used)
    except ValueError as error:
        raise UserError(f"{paths.topics}: {error}") from None
    edit_yaml(paths.params, folder, partial(_edit_params, topics, source))
    edit_yaml(paths.topics, folder, partial(set_topics, topics))
    _trust_source(source, folder)
    n_open = sum(bool(topics.current_meaning(line.names).retired) for line in lines)
    notes = [
        "Topics and prepare.sources are new; all other settings and labels stay.",
        f"  topics were   {shortened_list(before.topics.names, MOST_NAMED)}",
        f"  sources were  {', '.join(before.prepare.paths)}",
    ]
    if n_open:
        notes.append(f"{plural(n_open, 'label')} in {log} to be given again")
    return "\n".join(notes)


def _with_known_topics(topics: Topics, before: Topics, used: Collection[str]) -> Topics:
    """Give topics their entries in `before`; retire its other names that labels have (`used`)."""
    old_topics = {topic.name: topic for topic in before.topics}
    codebook = []
    for new in topics.topics:
        old = old_topics.get(new.name, new)
        codebook.append(replace(old, definition=old.definition or new.definition))
    names = {name for topic in codebook for name in (topic.name, *topic.was)}
    retired: dict[str, tuple[str, ...]] = {}
    for name in before.all_names:
        if name in used and name not in names:
            parts = before.retired.get(name, ())
            retired[name] = tuple(part for part in parts if part in names)
    return replace(topics, codebook=tuple(codebook), retired=retired)


def _init_with_table(
    folder: Path, names: list[str], table: str, label: str, random: bool, again: bool
) -> None:
    """Make or, if `again`, renew a project with a table as source; print columns and next steps."""
    path = _source_path(folder, Path(table))
    proposal, columns = read_proposal(names, table, path, label)
    proposal = proposal._replace(source=replace(proposal.source, random=random))
    # Errors of stage prepare are raised here, before any file is written.
    find_files([table], TABLES)
    rows = read_labelled_table(Path(table), [], replace(proposal.source, path=table))
    is_multi = not names and bool((rows.votes["topics"].map(len) > 1).any())
    if names:
        topics = new_topics(names)
    else:
        topics = Topics("multi" if is_multi else "single", tuple(proposal.topics))
    note = (renew if again else create)(folder, topics, proposal.source)
    print_proposal(table, columns, proposal, rows)
    for line in label_warnings(proposal, rows.votes, label, topics):
        print(f"  note   {line}")
    is_labelled = len(rows.votes) == len(rows.paragraphs)
    if is_labelled:
        print("  note   all rows are labelled: for shares of a larger corpus, add its other texts")
    if is_multi:
        print("  mode   multi: some rows have several topics; in mode single the first would count")
    check = {"check params.yaml": "see that tables are read as shown above (prepare.sources)"}
    if len(rows.votes) and not random:
        check["add random: true"] = (
            "to the table in prepare.sources, if you drew the labelled rows at random from it"
        )
    to_label = LABEL_GROUPS if random else label_step(rows.fields)
    _print_start(folder, note, check, {} if is_labelled else to_label)


def _source_path(folder: Path, path: Path) -> str:
    """A path relative to the project's folder if it is inside, or else an absolute path."""
    absolute, root = path.resolve(), folder.resolve()
    if absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    return absolute.as_posix()


def _print_start(folder: Path, note: str, check: dict[str, str], to_label: dict[str, str]) -> None:
    """Print a note and next steps, including `check` and `to_label` (command → purpose)."""
    print(note)
    go = {} if folder == Path() else {f"cd {folder}": "go to the project"}
    file = Paths(folder).topics.relative_to(folder)
    define = {f"edit {file}": "define each topic: with few labels, models rely on it"}
    print_steps(go | check | define | to_label | TRAIN | REPORT)


def _edit_new_params(topics: Topics, source: Source, file: CommentedMap) -> None:
    """Adapt a copy of this repository's params.yaml to a new project."""
    file["language"] = None
    _edit_params(topics, source, file)


def _edit_params(topics: Topics, source: Source, file: CommentedMap) -> None:
    """Set topics.mode, and prepare.sources to this source alone, in the parsed params.yaml."""
    path = source_entry(source)
    sources = flow_list([path]) if isinstance(path, str) else [path]
    for section, key, value in (("topics", "mode", topics.mode), ("prepare", "sources", sources)):
        if file[section]:
            set_value(file[section], key, value)
        else:
            set_value(file, section, CommentedMap({key: value}))


def _commit(folder: Path, paths: Sequence[str]) -> str:
    """Make a folder a git repository, and commit `paths`, which are relative to the folder.

    In a repository that exists already, nothing is committed. Without git, DVC is configured to
    need none. The result is a message if there is no commit or it has another author; "" otherwise.
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
    # The user's hooks and signatures are meant for the user's own commits.
    commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", "Start the project")
    _git(folder, "add", "--", *paths)
    if not _git(folder, *commit):
        return ""
    if _git(folder, *_UNKNOWN_USER, *commit):
        return "git refused the first commit, which experiments need: run `git commit` to see why."
    return (
        "git knows no user here, so the first commit is by paratopic; `git config user.name` sets "
        "one."
    )


def _git(folder: Path, *words: str) -> int:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True).returncode
