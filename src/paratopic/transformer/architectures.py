"""Refuse encoders that cannot be exported, before time is spent on tuning them."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from paratopic.inference.onnx_model import OnnxModel
from paratopic.project.errors import UserError
from paratopic.transformer.export import EmbeddingNetwork, export
from paratopic.transformer.network import embed_windows

# Architectures, as transformers calls them, that the tests tune, export and load.
TESTED = (
    "bert",
    "deberta-v2",
    "distilbert",
    "electra",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
# Largest difference of a number of an embedding, in full precision.
GAP = 1e-4
# Others that this process exported; each fold of a cross-validation loads the encoder again.
_exported: set[str] = set()


def try_export(encoder: SentenceTransformer, name: str) -> None:
    """Export an encoder as it came, if the tests export none of its architecture.

    Raises
    ------
    UserError
        It cannot be exported, or gives other embeddings then; `name` is what params.yaml calls it.
    """
    assert encoder.transformers_model is not None
    architecture = encoder.transformers_model.config.model_type
    if architecture in TESTED or architecture in _exported:
        return
    try:
        gap = _gap(copy.deepcopy(encoder).to("cpu").eval())
        if not gap <= GAP:
            raise ValueError(f"its embeddings would be off by {gap:.1g}")
    except Exception as error:  # of any library that exports or runs it
        why = str(error.__cause__ or error).strip().split("\n")[0]
        raise UserError(
            f"transformer.encoder: {name} cannot become an ONNX model, which is what predicts "
            f"({why}); its architecture is {architecture}: take an encoder with one of these "
            f"architectures: {', '.join(TESTED)}"
        ) from None
    _exported.add(architecture)


def _gap(encoder: SentenceTransformer) -> float:
    """Largest difference of an embedding by ONNX, without padding, from the encoder's with it."""
    windows = [[9, 8, 7, 6, 5, 4, 3], [5, 6, 7], [7, 6, 5], [8]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(EmbeddingNetwork(encoder), path)
        embeddings = OnnxModel(path).run(windows)
    return float(np.abs(embeddings - embed_windows(encoder, windows).numpy()).max())
