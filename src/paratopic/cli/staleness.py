"""What is out of date in the project in the current directory: DVC says it.

DVC does not see sources outside of the project, so stage prepare notes digests of what it reads.
"""

from __future__ import annotations

from pathlib import Path

from paratopic.evaluation.comparison import Comparison
from paratopic.labels.summary import Prepared
from paratopic.project import files
from paratopic.project.errors import in_short
from paratopic.project.params import Params, read_params
from paratopic.reading.outside import untrusted
from paratopic.reading.sources import digests_of

# Stages of the champion whose changes make its figures old.
OWN = ("fit", "calibrate", "train", "package")


def champion_name() -> str:
    """Name of the champion; "" where no models were compared yet."""
    if not files.COMPARISON.exists():
        return ""
    return Comparison.load(files.COMPARISON).champion


def note_changes(model: Path) -> None:
    """Print that a model of the project is older than its texts, labels or settings, if it is.

    Nothing is printed about another model, and nothing where sources are outside of a project that
    nobody trusts.
    """
    is_own = model.resolve().is_relative_to(files.MODELS.resolve())
    if not (is_own and files.PARAMS.exists() and files.PREPARED.exists()):
        return
    params, champion = read_params(), champion_name()
    if not untrusted(params.prepare):
        print_changes(changes_since(params, champion), champion)


def print_changes(changes: str, champion: str) -> None:
    """Print what `changes_since` says, unless it is nothing."""
    if changes:
        what = "these figures were made" if champion else "the texts were read"
        print(f"note: {changes} changed since {what}: run `dvc repro`")


def changes_since(params: Params, champion: str) -> str:
    """Say which sources, settings and results changed since the last `dvc repro`; "" for none.

    Parameters
    ----------
    champion
        Name of the model whose stages are looked at, beside those of all models; "" for none, where
        stage prepare alone has run.
    """
    stages = ["prepare"]
    if champion:
        stages += ["split", *(f"{stage}@{champion}" for stage in OWN), "compare"]
        stages += [f"evaluate@{name}" for name in params.models]
    status, changes = _dvc_status(stages), changed_sources(params)
    for stage in stages:
        for change in status.get(stage, ()):
            changes += _names(change, stage)
    return in_short(list(dict.fromkeys(changes)), 2)


def changed_sources(params: Params) -> list[str]:
    """Names of the texts and labels that are other than those that stage prepare read."""
    log = params.prepare.labels
    if not (read := Prepared.load(files.PREPARED).read):
        return []
    now = digests_of(params.prepare.sources, *([Path(log)] if log else []))
    return [path for path in {**read, **now} if read.get(path) != now.get(path)]


def _dvc_status(stages: list[str]) -> dict[str, list[object]]:
    """What `dvc status` says of stages; nothing, and a note, where DVC cannot be asked.

    It takes DVC's lock, and writes to its folder.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return dict(repo.status(stages))
    except (DvcException, OSError, KeyError) as error:  # the last one: its user has no name
        reason = str(error).partition("\n")[0]
        print(f"note: it is not known whether results are up to date, because DVC says: {reason}")
        return {}


def _names(change: object, stage: str) -> list[str]:
    """Names of what differs from when a stage ran, from an entry of `dvc status`.

    What is gone is made anew, and what stage prepare reads is known from `changed_sources`.
    """
    if not isinstance(change, dict):
        return []
    names = []
    for what, paths in change.items():
        for path, kind in paths.items():
            if isinstance(kind, dict):
                names += [f"{key} in {path}" for key in kind]
            elif kind == "modified" and (stage, what) != ("prepare", "changed deps"):
                names.append(path)
    return names
