"""The command line `paratopic`: its commands, and how a user's mistake is reported."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from paratopic.cli.annotate import annotate
from paratopic.cli.codebook import codebook
from paratopic.cli.forecast import forecast
from paratopic.cli.labels import import_labels, label, paragraphs, review, suggest
from paratopic.cli.mistakes import mistakes
from paratopic.cli.pack import pack
from paratopic.cli.predict import predict
from paratopic.cli.publish import publish
from paratopic.cli.report import report
from paratopic.cli.shares import shares
from paratopic.cli.start import init, ui
from paratopic.cli.status import status
from paratopic.project import errors
from paratopic.project.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"paratopic {version('paratopic')}")
        raise typer.Exit


# Package → the extra that brings it, where that is not train.
EXTRA_OF = {"openai": "llm"}
FLAGS = ("-q", "--quiet", "-v", "--verbose")


class _Stderr(logging.Handler):
    """Prints notes on what stderr is at the time, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


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
            "--version",
            help="Print the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Paragraph topics from few labels."""
    if quiet and verbose:
        raise UserError("--quiet and --verbose cannot be used together; leave one out")
    log = logging.getLogger("paratopic")
    log.handlers = [_Stderr()]
    log.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)


app.command()(init)
app.command()(predict)
app.command()(annotate)
app.command()(paragraphs)
app.command()(suggest)
app.command("import")(import_labels)
app.command()(label)
app.command()(pack)
app.command()(report)
app.command()(shares)
app.command("errors")(mistakes)
app.command()(forecast)
app.command()(review)
app.command()(status)
app.add_typer(codebook, name="codebook")
app.add_typer(publish, name="publish")
app.command()(ui)


def main() -> None:
    """Entry point; a user's mistake is reported without a traceback."""
    errors.run(_main)


def _main() -> None:
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
    """Arguments with those of `FLAGS` before the command: predict -q in.txt → -q predict in.txt."""
    end = words.index("--") if "--" in words else len(words)
    flags = [word for word in words[:end] if word in FLAGS]
    return [*flags, *(word for word in words[:end] if word not in FLAGS), *words[end:]]
