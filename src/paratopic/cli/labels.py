"""The commands of the labelling loop: from `paragraphs` and `suggest` to `import` and `review`.

What is worth labelling, and what files look like, is decided in `annotation`; which labels count,
in `labels`. Both need packages that take seconds to import: commands import them when they run.
"""

from __future__ import annotations

import csv
import getpass
import logging
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from paratopic.cli.predict import (
    SOME_ERRORS,
    TABLES,
    Files,
    ModelName,
    article_files,
    read_article,
)
from paratopic.cli.terminal import terminal
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.labels.log import NEVER, UNNAMED, Label, after, first_words, one_line
from paratopic.project.errors import UserError
from paratopic.project.paths import METADATA, PARAGRAPHS, SKIPPED
from paratopic.project.plurals import plural
from paratopic.project.progress import waiting
from paratopic.reading.article import paragraphs_of
from paratopic.reading.files import SUFFIXES, find_files
from paratopic.tables.cells import LineFeeds

if TYPE_CHECKING:
    import pandas as pd

    from paratopic.annotation.context import Suggestion
    from paratopic.annotation.formats import ImportedLabels
    from paratopic.labels.answers import CurrentAnswers
    from paratopic.project.params import Params

log = logging.getLogger(__name__)

Count = Annotated[int, typer.Option(min=1, help="How many paragraphs.")]
Tasks = Annotated[
    Path | None,
    typer.Option(help="Write tasks for Label Studio (.json) or a spreadsheet (.csv, .xlsx)."),
]
Again = Annotated[
    Path | None,
    typer.Option(
        help="Write the listed paragraphs to a file, to label them again: .json (Label Studio), "
        ".csv or .xlsx (a spreadsheet, `paratopic label`).",
    ),
]
Exports = Annotated[
    list[Path],
    typer.Argument(help="Label Studio's JSON export, CSV or .xlsx."),
]
DefaultAnnotator = Annotated[
    str | None,
    typer.Option(help="Annotator of the labels that name none; default: your login name."),
]
Sheet = Annotated[
    Path | None,
    typer.Argument(help="CSV or .xlsx with the paragraphs to label (from `paratopic suggest`)."),
]
Annotator = Annotated[str | None, typer.Option(help="Who labels; default: your login name.")]
Blinding = Annotated[
    bool | None,
    typer.Option(
        "--blind/--no-blind",
        help="Hide the model's predictions; default: hide them if paragraphs are drawn at random, "
        "or if others have labelled some of the sheet.",
        show_default=False,
    ),
]
Random = Annotated[
    bool, typer.Option("--random", help="Draw at random, so that the labels are a sample.")
]
Mixed = Annotated[
    bool,
    typer.Option("--mixed", help="Mix the model's suggestions with paragraphs drawn at random."),
]
Articles = Annotated[bool, typer.Option("--articles", help="With --random: draw whole articles.")]
By = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="With --random: draw from each value of a column, such as month or article, in "
        "proportion to its paragraphs.",
        show_default=False,
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")]
# Why what the model thinks is hidden where labels are to measure it.
DRAWN = "paragraphs are drawn at random"
# Why a paragraph is to be labelled again that annotators do not agree on.
TIE = "a tie between annotators"
# The same of an answer of a weak source, whose name follows.
CONTRADICTS = "the models contradict "
# Why a paragraph is suggested that weak sources do not agree on.
DISPUTED = "weak sources disagree"


@dataclass(frozen=True)
class Project:
    """The project in the current directory, as stage prepare left it.

    Parameters
    ----------
    lines
        All lines of labels.csv, as the file is now.
    """

    params: Params
    paragraphs: pd.DataFrame
    lines: list[Label]

    @cached_property
    def by_people(self) -> list[Label]:
        """The lines of people."""
        from paratopic.labels.answers import of_people

        return of_people(self.lines, self.params.labels.weak)

    @cached_property
    def current(self) -> CurrentAnswers:
        """What people answered, as far as it counts today."""
        from paratopic.labels.answers import read_answers

        return read_answers(self.by_people, self.params.topics)

    @property
    def answers(self) -> list[Label]:
        """People's answers that count: the latest of each annotator on each paragraph."""
        return self.current.answers

    @cached_property
    def of_sources(self) -> list[Label]:
        """The answers of weak sources that count."""
        from paratopic.labels.answers import current, of_weak_sources

        lines = of_weak_sources(self.lines, self.params.labels.weak)
        return current(lines, self.params.topics)

    @property
    def tied(self) -> dict[str, list[Label]]:
        """Id of each paragraph on which annotators are divided → their answers."""
        from paratopic.labels.answers import tied

        of_all, ids = tied(self.answers, self.params.topics), self.paragraphs["id"]
        return {id_: of_all[id_] for id_ in ids if id_ in of_all}

    @cached_property
    def retired(self) -> dict[str, str]:
        """Id of each paragraph to label again because the codebook changed → why."""
        rows = self.paragraphs[self.paragraphs["retired"] != ""]
        of_tables = dict(zip(rows["id"], rows["retired"], strict=True))
        reasons = of_tables | self.current.retired
        judged = {line.paragraph for line in self.answers}
        ids = self.paragraphs["id"]
        return {id_: reasons[id_] for id_ in ids if id_ in reasons and id_ not in judged}

    def in_words(self, ids: Collection[str]) -> dict[str, str]:
        """Id of each paragraph → the id with what the paragraph is from."""
        from paratopic.corpus.metadata import in_words, read_metadata

        return in_words(read_metadata(METADATA), ids)

    @property
    def labels_file(self) -> Path:
        """The file that new labels are added to."""
        return labels_file(self.params)


@dataclass(frozen=True)
class Draw:
    """How the paragraphs to label are chosen: the options of `suggest` and `label`.

    Parameters
    ----------
    mixed
        Whether to draw some at random among those that the model suggests. Without either, all are
        what the model suggests.
    articles
        Whether to draw whole articles at random.
    by
        Column in each value of which they are drawn at random in proportion; None for none.

    Raises
    ------
    UserError
        The options contradict each other.
    """

    random: bool = False
    mixed: bool = False
    articles: bool = False
    by: str | None = None

    def __post_init__(self) -> None:
        if self.random and self.mixed:
            raise UserError("--random and --mixed cannot be used together; leave one out")
        if self.articles and self.by is not None:
            raise UserError("--articles and --by cannot be used together; leave one out")
        if (self.articles or self.by is not None) and not self.random:
            option = "--articles" if self.articles else "--by"
            raise UserError(f"{option} says what to draw at random; add --random")

    @property
    def reason_to_hide(self) -> str:
        """Why what the model thinks is hidden by default; "" if it is not."""
        return DRAWN if self.random or self.mixed else ""


def paragraphs(paths: Files) -> None:
    """Print lines for seeds/labels.csv; replace each "?" with the paragraph's topics."""
    from paratopic.labels.log import UNDECIDED

    writer = csv.writer(LineFeeds(sys.stdout))
    names: set[str] = set()
    for path in article_files(paths):
        if Path(path).suffix.lower() in TABLES:
            raise UserError(
                f"{path} is a table: list it in prepare.sources of params.yaml, where a column may "
                "have its labels"
            )
        article = read_article(path)
        if article.name in names:
            raise UserError(
                f"{path}: another file is also named {article.name}; rename one of them, because "
                "paragraph ids begin with the name"
            )
        names.add(article.name)
        for paragraph in paragraphs_of(article):
            writer.writerow([paragraph.id, UNDECIDED, first_words(paragraph.text)])


def suggest(
    n: Count = 50,
    out: Tasks = None,
    model: ModelName = None,
    blind: Blinding = None,
    random: Random = False,
    mixed: Mixed = False,
    articles: Articles = False,
    by: By = None,
) -> None:
    """Pick the unlabelled paragraphs that are most worth labelling next, or draw a sample.

    Without --out, they are printed as CSV. `paratopic label` opens them in a browser.
    """
    from paratopic.annotation import formats

    draw = Draw(random, mixed, articles, by)
    project, hidden = read_project(), _hides(blind, draw.reason_to_hide)
    suggestions, shown = _suggestions(project, n, draw, model, hidden)
    if out is None:
        sys.stdout.write(formats.sheet(suggestions))
        return
    topics = project.params.topics
    if shown is None:
        written = formats.write_tasks(out, suggestions, topics, "")
    else:
        written = formats.write_tasks(out, suggestions, topics, shown.kind, shown.explain)
    picked = plural(len(suggestions), "paragraph")
    print(f"{picked} to label: {', '.join(map(str, written))}")


def import_labels(paths: Exports, annotator: DefaultAnnotator = None) -> None:
    """Add labels from other files to the project's labels.csv.

    The order of the files does not matter, and labels that are already there are not added again.
    Rows with an unknown paragraph or topic are reported by line or task, and the exit status is
    then 3. All other rows are imported.
    """
    from paratopic.annotation import formats

    project = read_project()
    topics = project.params.topics
    read = {path: formats.read_answers(path, project.paragraphs, topics) for path in paths}
    name = _name_of_rest((label for part in read.values() for label in part.labels), annotator)
    unnamed = [path for path in paths if not all(label.annotator for label in read[path].labels)]
    if unnamed and annotator is None:
        _warn_of_one_annotator(unnamed, name)
    for path, imported in read.items():
        _merge(project, path, imported, name)
    _warn_of_another_order(project, read.values())
    problems = any(imported.problems for imported in read.values())
    raise typer.Exit(SOME_ERRORS if problems else 0)


def label(
    path: Sheet = None,
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs, if no file is given.")] = 50,
    annotator: Annotator = None,
    port: Port = 8765,
    model: ModelName = None,
    blind: Blinding = None,
    random: Random = False,
    mixed: Mixed = False,
    articles: Articles = False,
    by: By = None,
) -> None:
    """Label paragraphs by keyboard, on a page that only this machine can open."""
    from paratopic.annotation import formats, page, web
    from paratopic.project.params import read_params

    draw = Draw(random, mixed, articles, by)
    if path is not None and draw != Draw():
        raise UserError(
            f"{path} already says which paragraphs to label; leave out either the file or "
            "--random, --mixed, --articles and --by"
        )
    project, name = read_project(), _name(annotator)
    # The model may read for a minute. The address is there before; a browser waits for the page.
    greeting = "Label at {address} (press Ctrl-C to stop; every answer is saved at once)"
    with web.listen(greeting, port) as listener:
        if path is None:
            hidden = _hides(blind, draw.reason_to_hide)
            suggestions, shown = _suggestions(project, n, draw, model, hidden)
        else:
            drawn = formats.read_drawn(path, project.paragraphs)
            hidden = _hides(blind, _reason_to_hide(project, drawn, name))
            shown = None if hidden else load(model)
            suggestions = _in_context(project, drawn, shown)
        explain = shown.explain if shown else None
        session = page.Session(
            project.labels_file, name, suggestions, lambda: read_params().topics, explain
        )
        web.serve(page.application(session), listener)


def review(
    n: Annotated[int, typer.Option(min=1, help="List at most this many.")] = 50, out: Again = None
) -> None:
    """List ties between annotators, then the labels that are doubtful, and why.

    A hand label is doubtful if out-of-fold scores contradict it, or if a near-duplicate has another
    label. The most doubtful label comes first. Answers of weak sources that the scores contradict
    come last. The file of --out does not show the labels, so that nobody is influenced by them.
    """
    import pandas as pd

    from paratopic.evaluation.review import rank_contradicted, rank_doubtful, read_scores
    from paratopic.labels.answers import by_paragraph

    project = read_project()
    models, topics = project.params.models, project.params.topics
    ties = project.tied
    tied = list(ties)[:n]
    if tied:
        terminal().print(_tied_table({id_: ties[id_] for id_ in tied}, project))
        left_out = project.params.prepare.ties == "leave_out"
        until = " Until then, the paragraph has no label." if left_out else ""
        n_ties = plural(len(ties), "tie")
        print(f"{n_ties} ({len(tied)} listed). Another answer settles a tie.{until}")
    rows, scores = read_scores(project.paragraphs, models, topics)
    if rows.empty and not tied:
        raise UserError(
            "there is nothing to review: no paragraph has a hand label. Label some "
            "(`paratopic label`), then run `dvc repro`"
        )
    ranked = rank_doubtful(rows, scores, topics)
    doubtful = ranked[(ranked["reason"] != "") & ~ranked["paragraph"].isin(tied)]
    answers = by_paragraph(project.answers)
    where = [lines_of(answers.get(id_, [])) for id_ in doubtful["paragraph"]]
    listed = doubtful.assign(where=where).head(n)
    if len(doubtful):
        terminal().print(_doubtful_table(listed, project))
    n_labels = plural(len(rows), "hand label")
    print(f"{len(doubtful)} of {n_labels} doubtful ({len(listed)} listed)")
    if n_unsure := int(ranked["unsure"].sum()):
        others = plural(n_unsure, "label names", "labels name")
        print(
            f"{others} a topic where the models find no topic probable. The models are unsure "
            "there, which does not make a label doubtful (see `paratopic errors`)."
        )
    weak = rank_contradicted(project.paragraphs, scores, topics)
    in_file = {(line.paragraph, line.annotator): lines_of([line]) for line in project.of_sources}
    # Rules and headings are in the codebook.
    where = [
        in_file.get((str(id_), str(source)), str(source))
        for id_, source in zip(weak["paragraph"], weak["source"], strict=True)
    ]
    reason = [f"{CONTRADICTS}{source}" for source in weak["source"]]
    of_sources = weak.assign(reason=reason, where=where).head(n)
    if len(weak):
        terminal().print(_doubtful_table(of_sources, project))
        n_answers = plural(len(weak), "answer")
        print(f"the models contradict {n_answers} of weak sources ({len(of_sources)} listed)")
    if out is not None:
        unsettled = pd.DataFrame(
            {"paragraph": tied, "suggestion": "", "confidence": 0.0, "reason": TIE}
        )
        listed = pd.concat([unsettled, listed, of_sources]).drop_duplicates("paragraph")
        write_again(project, listed, " and ".join(models), out)


def labels_file(params: Params) -> Path:
    """The file that new labels are added to.

    Raises
    ------
    UserError
        params.yaml names none.
    """
    if params.prepare.labels is None:
        raise UserError("params.yaml names no file of labels: set prepare.labels")
    return Path(params.prepare.labels)


def _name(annotator: str | None) -> str:
    """Who labels: the annotator that is named, or whoever is logged in."""
    if name := one_line(annotator or ""):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        raise UserError(
            "the system has no name for its user, so it is not known who labels: name the "
            "annotator with --annotator NAME, or in the environment variable LOGNAME"
        ) from None


def _name_of_rest(labels: Iterable[Label], annotator: str | None) -> str:
    """Whose labels those are that name no annotator; "" where all of them do."""
    return "" if all(label.annotator for label in labels) else _name(annotator)


def read_project() -> Project:
    """Read the project in the current directory.

    Raises
    ------
    UserError
        Stage prepare has not run, or a file cannot be read.
    """
    from paratopic.corpus.table import read_paragraphs
    from paratopic.labels.join import in_todays_names
    from paratopic.labels.log import read_lines
    from paratopic.project.params import read_params

    params = read_params()
    if not PARAGRAPHS.exists():
        raise UserError(f"{PARAGRAPHS} not found: `dvc repro prepare` creates it")
    path = None if params.prepare.labels is None else Path(params.prepare.labels)
    lines = read_lines(path) if path and path.exists() else []
    return Project(params, in_todays_names(read_paragraphs(PARAGRAPHS), params.topics), lines)


def refuse_former_topics(project: Project) -> None:
    """Raise an error where the paragraph table has a topic that the codebook lacks."""
    names = set(project.params.topics.names)
    frame = project.paragraphs
    for id_, topics in zip(frame["id"], frame["topics"], strict=True):
        for name in topics if isinstance(topics, list) else ():
            if name not in names:
                raise UserError(
                    f"{PARAGRAPHS}: {id_} has the topic {name}, which the codebook in params.yaml "
                    "lacks: run `dvc repro prepare`"
                )


def _suggestions(
    project: Project, n: int, draw: Draw, model: str | None, hidden: bool
) -> tuple[list[Suggestion], Model | None]:
    """At least one suggestion, and the model whose opinion they show; None if it is hidden.

    Raises
    ------
    UserError
        No paragraph is left to label, stage prepare has not read those that are, or a model is
        needed and there is none.
    """
    from paratopic.annotation import context, sampling, suggestion
    from paratopic.corpus.weak import gain_of_labels

    frame, seed = project.paragraphs, project.params.seed
    judged = {line.paragraph for line in project.answers}
    suggesting = None if draw.random and hidden else load(model)
    names = project.params.topics.names
    if suggesting and (gone := [name for name in suggesting.classes_ if name not in names]):
        log.warning(
            "note: the model still suggests topics that are no longer in the codebook: %s; "
            "`dvc repro` trains it again",
            ", ".join(gone),
        )
    shown = None if hidden else suggesting
    with waiting("reading the unlabelled paragraphs"):
        if draw.random or suggesting is None:
            drawn = _drawn_at_random(project, judged, n, draw)
            suggestions = _in_context(project, drawn, shown)
        else:
            first = [] if draw.mixed else _to_label_again(project, n, suggesting)
            left_out = judged | {item.id for item in first}
            gains, disputed = gain_of_labels(frame, project.params.topics)
            suggestions = suggestion.suggest(
                frame, left_out, suggesting, n - len(first), seed, gains
            )
            is_disputed = set(frame["id"][disputed])
            suggestions = first + [
                replace(item, reason=DISPUTED) if item.id in is_disputed else item
                for item in suggestions
            ]
            if draw.mixed:
                ids = [item.id for item in suggestions]
                drawn = sampling.draw_mixed(frame, judged, ids, n, seed)
                suggestions = _in_context(project, drawn, shown)
            elif hidden:
                suggestions = context.blind(suggestions)
    if unread := _unread_articles(project):
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        message = f"not read yet: {unread[0]}{more}; `dvc repro prepare` reads new sources"
        if not suggestions:
            raise UserError(message)
        log.warning("note: %s", message)
    if not suggestions:
        labelled = "article has a labelled paragraph" if draw.articles else "paragraph has a label"
        paths = ", ".join(project.params.prepare.paths)
        raise UserError(
            f"there is nothing left to label: every {labelled}. Texts are read from {paths}, which "
            "prepare.sources of params.yaml names"
        )
    return suggestions, shown


def _to_label_again(project: Project, n: int, model: Model) -> list[Suggestion]:
    """The first n paragraphs to label again because the codebook changed.

    An answer in a sheet has no time. So that it replaces those before it, it gets the next one.
    """
    from paratopic.annotation.context import in_context, with_predictions

    ids = list(project.retired)[:n]
    latest: dict[str, datetime] = {}
    for line in project.lines:
        latest[line.paragraph] = max(line.time, latest.get(line.paragraph, NEVER))
    items = [
        replace(
            item,
            reason=project.retired[item.id],
            when=after(latest.get(item.id, NEVER)),
        )
        for item in in_context(project.paragraphs, ids)
    ]
    return with_predictions(items, model.predict([item.passage for item in items]))


def _drawn_at_random(
    project: Project, judged: Collection[str], n: int, draw: Draw
) -> dict[str, str]:
    """Id of each paragraph that is drawn → how it was drawn."""
    from paratopic.annotation.sampling import draw_articles, draw_random

    frame, seed = project.paragraphs, project.params.seed
    if draw.articles:
        return draw_articles(frame, judged, n, seed)
    strata = None if draw.by is None else _strata(project, draw.by)
    return draw_random(frame, judged, n, seed, strata)


def _strata(project: Project, column: str) -> pd.Series:
    """Value of a column for each paragraph, by id."""
    import pandas as pd

    from paratopic.corpus.metadata import read_metadata, values_of, with_metadata

    rows = with_metadata(project.paragraphs, read_metadata(METADATA))
    return pd.Series(values_of(rows, column), rows["id"])


def _in_context(
    project: Project, drawn: Mapping[str, str], shown: Model | None
) -> list[Suggestion]:
    """Paragraphs that were drawn, with what a model thinks of them if one is to be shown."""
    from paratopic.annotation.context import drawn_in_context, with_predictions

    suggestions = drawn_in_context(project.paragraphs, drawn)
    if shown is None:
        return suggestions
    return with_predictions(suggestions, shown.predict([item.passage for item in suggestions]))


def _hides(blind: bool | None, reason: str) -> bool:
    """Whether to hide what the model thinks: as asked for, or else where there is a reason."""
    if blind is None and reason:
        log.warning(
            "note: %s, so the model's predictions are hidden; --no-blind shows them", reason
        )
    return bool(reason) if blind is None else blind


def _unread_articles(project: Project) -> list[Path]:
    """Articles among the sources that stage prepare has not read yet."""
    try:
        paths, _ = find_files(project.params.prepare.paths, SUFFIXES)
    except UserError:
        return []  # what was prepared can be labelled where its sources are not
    read = set(project.paragraphs["article"])
    if SKIPPED.exists():
        with SKIPPED.open(encoding="utf-8", newline="") as file:
            read |= {row.get("article", "") for row in csv.DictReader(file)}
    return [
        path
        for path in paths
        if path.suffix.lower() in SUFFIXES and not read & {path.stem, str(path)}
    ]


def _reason_to_hide(project: Project, drawn: Mapping[str, str], annotator: str) -> str:
    """Why the annotator of a sheet is not to see what the model thinks; "" where there is none."""
    known = {line.annotator for line in project.answers if line.paragraph in drawn}
    if others := sorted(name or UNNAMED for name in known - {annotator}):
        return f"{', '.join(others)} labelled some of these paragraphs too"
    return DRAWN if any(drawn.values()) else ""


def _warn_of_one_annotator(paths: Sequence[Path], name: str) -> None:
    """Say whose labels these become; ask about several files, if somebody is there to answer."""
    log.warning(
        "note: labels in %s name no annotator, so they are recorded as %s's; --annotator sets "
        "another name",
        ", ".join(map(str, paths)),
        name,
    )
    if len(paths) > 1 and sys.stdin.isatty():
        typer.confirm(f"Did {name} fill in all of these files?", abort=True)


def _warn_of_another_order(project: Project, read: Collection[ImportedLabels]) -> None:
    """Say how many paragraphs were answered although the one drawn before them was not."""
    drawn_after = dict(chain.from_iterable(imported.drawn_after.items() for imported in read))
    if not drawn_after:
        return
    labelled = {line.paragraph for line in project.answers}
    labelled |= {label.paragraph for imported in read for label in imported.labels}
    if n_early := sum(id_ not in labelled for id_ in drawn_after.values()):
        log.warning(
            "note: %s an answer although the paragraph drawn just before has none. Unless Label "
            "Studio shows its tasks in random order, the answers are not a random sample until "
            "every paragraph that was drawn has one.",
            plural(n_early, "paragraph has", "paragraphs have"),
        )


def _merge(project: Project, path: Path, imported: ImportedLabels, annotator: str) -> None:
    """Add the labels of a file to labels.csv, and report."""
    from paratopic.labels.answers import merge

    ranks = {id_: rank for rank, id_ in enumerate(project.paragraphs["id"])}
    target = project.labels_file
    params = project.params
    merged = merge(target, imported.labels, annotator, ranks, params.topics, params.labels.weak)
    for problem in imported.problems:
        print(problem, file=sys.stderr)
    for dispute in merged.disputes:
        print(f"disputed: {dispute}")
    for reason, number in imported.retired.items():
        print(f"{plural(number, 'label')} to be given again ({reason}): `paratopic suggest`")
    left_out = "".join(f", {count} {reason}" for reason, count in sorted(imported.left_out.items()))
    new = plural(merged.added, "new label")
    print(
        f"{path}: {new} in {target}, {merged.known} already there, "
        f"{len(merged.disputes)} disputed, {len(imported.problems)} not imported{left_out}"
    )


def _doubtful_table(doubtful: pd.DataFrame, project: Project) -> Table:
    """Where each label is, and its paragraph, the label and why it is doubtful."""
    names = project.in_words(list(doubtful["paragraph"]))
    table = Table.grid(padding=(0, 2, 1, 0))
    for row in doubtful.to_dict("records"):
        label = "; ".join(row["topics"]) or "none of the topics"
        if row["suggestion"]:
            label += f" (suggestion: {row['suggestion']} {row['confidence']:.2f})"
        details = [names[row["paragraph"]], first_words(row["text"])]
        details.append(f"{label}: {row['reason']}")
        table.add_row(row["where"], Text("\n".join(details), overflow="fold"))
    return table


def _tied_table(tied: Mapping[str, Sequence[Label]], project: Project) -> Table:
    """The lines of the answers on each paragraph, the paragraph and who gave it which topics."""
    text_of = dict(zip(project.paragraphs["id"], project.paragraphs["text"], strict=True))
    names = project.in_words(tied)
    table = Table.grid(padding=(0, 2, 1, 0))
    for paragraph, answers in tied.items():
        given = "; ".join(
            f"{answer.annotator or UNNAMED}: {answer.cell or 'none of the topics'}"
            for answer in answers
        )
        details = [names[paragraph], first_words(text_of[paragraph]), f"{given}: {TIE}"]
        table.add_row(lines_of(answers), Text("\n".join(details), overflow="fold"))
    return table


def lines_of(answers: Iterable[Label]) -> str:
    """Where the answers on a paragraph are in labels.csv: "line 7, 9".

    The label of a paragraph that comes from a labelled table is there alone: "table".
    """
    lines = ", ".join(answer.line for answer in answers)
    return f"line {lines}" if lines else "table"


def write_again(project: Project, doubtful: pd.DataFrame, models: str, out: Path) -> None:
    """Write paragraphs to be labelled again, with a suggestion and the reason.

    Parameters
    ----------
    doubtful
        Columns paragraph (id), suggestion (a topic, "" for none), confidence (its probability) and
        reason.
    out
        File to write; its ending says for which tool.
    """
    from paratopic.annotation import formats
    from paratopic.annotation.context import in_context

    rows = doubtful.to_dict("records")
    scores = [{row["suggestion"]: row["confidence"]} if row["suggestion"] else {} for row in rows]
    paragraphs = in_context(project.paragraphs, list(doubtful["paragraph"]))
    suggestions = [
        replace(paragraph, scores=own, reason=row["reason"])
        for paragraph, own, row in zip(paragraphs, scores, rows, strict=True)
    ]
    written = formats.write_tasks(out, suggestions, project.params.topics, models)
    listed = plural(len(suggestions), "paragraph")
    print(f"{listed} to label again: {', '.join(map(str, written))}")
