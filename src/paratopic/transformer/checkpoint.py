"""Checkpoints of a tuning, so that one that was killed goes on and ends with the same bytes.

One that has ended leaves its parameters, so that the same tuning need not be done again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paratopic.project.files import aside

# Seconds between two checkpoints, at least.
APART = 60.0


class Checkpoint:
    """What a tuning needs to go on after the steps it has done.

    Parameters
    ----------
    folder
        Folder of the files, one for each tuning, of fits that read the same settings, encoder and
        code; None for no checkpoints.
    header
        What tells the tuning from others of the folder. A file that was written with anything else
        is another tuning's.
    optimiser
        Its optimiser, which has done no step yet.
    """

    def __init__(
        self,
        folder: Path | None,
        header: object,
        parameters: Sequence[nn.Parameter],
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self._parameters, self._optimiser = parameters, optimiser
        key = hashlib.sha256(repr(header).encode()).hexdigest()[:16]
        self._path = folder and folder / f"{key}.safetensors"
        self._when = time.monotonic()

    def restore(self) -> list[float]:
        """Take over what a file has, and return the losses of the steps that were done."""
        if self._path is None or not self._path.is_file():
            return []
        try:
            file = load_file(self._path)
        except SafetensorError:  # as after a power cut
            return []
        with torch.no_grad():
            for number, parameter in enumerate(self._parameters):
                parameter.copy_(file[f"{number}"])
                self._optimiser.state[parameter] = {
                    name.partition(".")[2]: tensor.to(parameter.device)
                    for name, tensor in file.items()
                    if name.startswith(f"{number}.")
                }
        return list(file["losses"].tolist())

    def save(self, losses: Sequence[float]) -> None:
        """Write a file if the last one is `APART` seconds old."""
        if self._path is None or time.monotonic() - self._when < APART:
            return
        tensors: dict[str, Tensor] = {}
        for number, parameter in enumerate(self._parameters):
            state: dict[str, Tensor] = self._optimiser.state[parameter]
            tensors |= {f"{number}.{name}": tensor for name, tensor in state.items()}
        self._write(self._path, losses, tensors)
        self._when = time.monotonic()

    def finish(self, losses: Sequence[float]) -> None:
        """Write a file of all steps, from which no other is to follow; as `save`."""
        if self._path is not None:
            self._write(self._path, losses, {})

    def _write(self, path: Path, losses: Sequence[float], tensors: dict[str, Tensor]) -> None:
        tensors = {"losses": torch.tensor(losses, dtype=torch.float64)} | tensors
        tensors |= {f"{n}": each.detach().clone() for n, each in enumerate(self._parameters)}
        with aside(path) as draft:
            save_file(tensors, draft)
