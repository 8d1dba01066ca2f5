"""The command line `paratopic`: its commands, and its reports of users' mistakes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from paratopic import __version__
from paratopic.project import errors
from paratopic.project.errors import UserError

# Name of a command → its help. A module is imported when its command runs, because some take
# seconds to import, and an install only for prediction lacks their libraries.
COMMANDS = {
    "init": "Start a project of your own: its settings, pipeline and a file for labels.",
    "predict": "Predict topics for the paragraphs of articles, or for the rows of tables.",
    "annotate": "Ask a language model for the topics of paragraphs; its answers are a weak source.",
    "paragraphs": 'Print lines for seeds/labels.csv; replace each "?" with the paragraph\'s '
    "topics.",
    "suggest": "Pick the unlabelled paragraphs that are most worth labelling next, or draw a "
    "sample.",
    "import": "Add labels from other files to the project's labels.csv.",
    "label": "Label paragraphs by keyboard, on a page that only this machine can open.",
    "report": "Print the comparison of the models, and what to do next.",
    "shares": "Estimate how much of the project is about each topic, with confidence intervals.",
    "errors": "List the champion's wrong out-of-fold answers, and the slices where it does worse.",
    "review": "List ties between annotators, then the labels that are doubtful, and why.",
    "status": "Show the labels by topic and annotator, what is missing, and what to do next.",
    "codebook": "Change the topics of a project that has labels; the labels follow.",
    "publish": "Write a model or the labels for others, as a folder.",
    "trust": "Allow a project that somebody else made to read files outside of it.",
    "ui": "Compare the runs in MLflow: start its server for this project, and open its page.",
}
# Module and function of the commands that have other names than these.
PLACES = {
    "init": "start:init",
    "import": "imports:import_labels",
    "label": "suggest:label",
    "errors": "mistakes:mistakes",
    "review": "mistakes:review",
    "status": "report:status",
    "trust": "next_steps:trust",
    "paragraphs": "predict:paragraphs",
    "ui": "start:ui",
}


class _LazyGroup(TyperGroup):
    """Commands that are imported when they run; until then, only their help is known."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: TyperCommand(name, help=text) for name, text in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command named by args[0]; return its name, the command and the other words."""
        name = args[0]
        if name not in COMMANDS:
            return super().resolve_command(ctx, args)
        command = resolve_name(f"paratopic.cli.{PLACES.get(name, f'{name}:{name}')}")
        if isinstance(command, typer.Typer):
            command.info.help = COMMANDS[name]
            return name, typer.main.get_group(command), args[1:]
        single_command = typer.Typer(add_completion=False)
        single_command.command(name)(command)
        return name, typer.main.get_command(single_command), args[1:]


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"paratopic {__version__}")
        raise typer.Exit


EXTRA_OF = {"openai": "llm"}  # Package → the extra that installs it, if that is not train.
FLAGS = ("-q", "--quiet", "-v", "--verbose")


class _Stderr(logging.Handler):
    """Prints each note to the present stderr above any progress bar; repeated notes only once."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        note = self.format(record)
        if note not in self.notes:
            print(note, file=sys.stderr)
        self.notes.add(note)


@app.callback(epilog="-q and -v can also come after the command.")
def options(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only: no progress and no notes.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also print the model, each file and the time taken."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Paragraph topics from few labels."""
    log = logging.getLogger("paratopic")
    log.handlers = [_Stderr()]
    log.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)


def main() -> None:
    """Run a command, and report a user's mistake without a traceback."""
    errors.run(_main)


def _main() -> None:
    """Run the command of sys.argv; a UserError names the extra that installs a missing package."""
    try:
        app(_flags_first(sys.argv[1:]))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("paratopic"):
            raise
        extra = EXTRA_OF.get(error.name or "", "train")
        raise UserError(
            f"this command needs {error.name}, which is not installed: "
            f"pip install 'paratopic[{extra}]'"
        ) from None


def _flags_first(words: Sequence[str]) -> list[str]:
    """Move `FLAGS` before the command: predict -q in.txt → -q predict in.txt."""
    end = words.index("--") if "--" in words else len(words)
    flags = [word for word in words[:end] if word in FLAGS]
    return [*flags, *(word for word in words[:end] if word not in FLAGS), *words[end:]]
