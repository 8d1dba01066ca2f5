"""The command `paratopic publish`: a model or labels for others, in a folder or on a hub."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from paratopic.cli.predict import ModelName
from paratopic.cli.project import note_changes, read_project
from paratopic.corpus.labelled import check_names
from paratopic.inference.folder import CARD, is_card_of, prediction_files
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.labels.dataset import write_dataset
from paratopic.project.errors import UserError
from paratopic.project.files import MODEL_CARD, MODEL_REPORTS, PARAGRAPHS, aside, written_by
from paratopic.project.hub import HUB, LOCAL, Repository, no_answer, parse_repository

Kind = Literal["model", "dataset"]
publish = typer.Typer(no_args_is_help=True)
To = Annotated[str, typer.Option(help="A folder to write, or hf://OWNER/NAME to send it to a hub.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Public = Annotated[
    bool, typer.Option("--public", help="Let everybody see a repository that is made for it.")
]


@publish.command("model")
def publish_model(
    to: To, model: ModelName = None, yes: Yes = False, public: Public = False
) -> None:
    """Publish a model: the files that prediction reads, and its card."""
    loaded = load(model)
    made = _publish(to, "model", lambda draft: _copy_model(loaded, draft), yes, public)
    print(f'load("{made}#sha256:{loaded.digest}") opens it')


@publish.command("labels")
def publish_labels(
    to: To,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Number the annotators, and leave out their notes.")
    ] = False,
    yes: Yes = False,
    public: Public = False,
) -> None:
    """Publish the paragraphs labelled by hand as a dataset: texts, labels, answers and a card."""
    project = read_project()
    note_changes()
    params = project.params
    check_names(project.paragraphs, params.topics)
    data = project.labelled
    if not data.by_hand.any():
        raise UserError(f"{PARAGRAPHS} has no label by hand, and there is nothing else to publish")
    name = Path(to.removeprefix(HUB)).name

    def write(draft: Path) -> None:
        write_dataset(draft, name, params, data, project.lines, anonymous)

    made = _publish(to, "dataset", write, yes, public)
    address = made if made.startswith(HUB) else f"{LOCAL}{made}"
    print(f"{address} is its address; its card says how to read it")


def _publish(to: str, kind: Kind, write: Callable[[Path], None], yes: bool, public: bool) -> str:
    """Show what is to be published, ask, and publish it; returns its address."""
    if not to.startswith(HUB):
        out = Path(to)
        if out.exists():
            raise UserError(f"{out} exists already; name another folder")
        if not out.absolute().parent.is_dir():
            raise UserError(
                f"{out}: there is no folder {out.parent}; make it, or write {HUB}{to} for a hub"
            )
        with aside(out) as draft:
            draft.mkdir()
            write(draft)
            _ask(draft, f"the folder {out}", yes)
        return to
    repository = parse_repository(to)
    if repository.revision or "/" not in repository.name:
        raise UserError(f"{to}: write hf://OWNER/NAME")
    with tempfile.TemporaryDirectory(prefix="paratopic-") as name:
        draft = Path(name)
        write(draft)
        seen = "public" if public else "private"
        _ask(draft, f"{repository} ({seen}, unless it is there already)", yes)
        commit = _upload(draft, repository, kind, public)
    return f"{repository}@{commit}"


def _ask(draft: Path, where: str, yes: bool) -> None:
    """Show the files of a folder, and end the command unless they are to be published."""
    paths = sorted(path for path in draft.rglob("*") if path.is_file())
    print(f"To {where}:")
    for path in paths:
        print(f"  {path.stat().st_size:>12,} bytes  {path.relative_to(draft)}")
    if not yes:
        typer.confirm("Publish these files?", abort=True)


def _upload(draft: Path, repository: Repository, kind: Kind, public: bool) -> str:
    """Send the files to the hub; returns the name of the commit."""
    if problem := no_answer(constants.ENDPOINT):
        raise UserError(f"{repository}: the hub cannot be reached ({problem})")
    try:
        hub = HfApi()
        hub.create_repo(repository.name, repo_type=kind, private=not public, exist_ok=True)
        sent = hub.upload_folder(
            repo_id=repository.name,
            repo_type=kind,
            folder_path=draft,
            commit_message=f"Publish a {kind} of paratopic",
        )
    except (HfHubHTTPError, LocalTokenNotFoundError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{repository}: the hub refused it ({reason}); log in with `hf auth login`, and check "
            "that you may write there"
        ) from None
    return str(sent.oid)


def _copy_model(model: Model, target: Path) -> None:
    """Copy the files of a model that prediction reads to an empty folder, and check the copy.

    Its card goes with them: that of its project, or else the one in its folder.

    Raises
    ------
    UserError
        The card is out of date.
    """
    folder = model.folder
    for name in prediction_files(model.kind):
        shutil.copyfile(folder / name, target / name)
    card = folder.parents[1] / MODEL_REPORTS / folder.name / MODEL_CARD
    if card.exists():
        with written_by("`dvc repro`", card):
            text = card.read_text(encoding="utf-8")
        if not is_card_of(text, folder):
            raise UserError(f"{card} is out of date; {folder} changed since: run `dvc repro`")
    shutil.copyfile(card if card.exists() else folder / CARD, target / CARD)
    load(target)
