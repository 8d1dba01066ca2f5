"""Centre an encoder's embeddings, so that cosines depend on the contents of texts.

Embeddings of many encoders lie in a narrow cone (cosines of multilingual-e5-small are .7 to 1), and
those of a multilingual one are grouped by language. Centring removes their mean, and the directions
in which the means of languages differ (Mu & Viswanath 2018, arXiv:1702.01417; Yang et al. 2021,
arXiv:2109.04727).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from torch import nn

from paratopic.inference.modes import Array

# A language needs as many texts to have a mean of its own.
LEAST_TEXTS = 8


def centre(encoder: SentenceTransformer, embeddings: Array, languages: Sequence[str]) -> None:
    """Append modules to an encoder that centre its embeddings, which then are not of unit length.

    `embeddings` are those of n >= 1 texts, (n, d), of unit length. `languages` are the codes of the
    texts' languages, "" for a text without one.
    """
    weight, bias = centring(embeddings, languages)
    dense = Dense(
        len(bias),
        len(bias),
        activation_function=nn.Identity(),
        init_weight=torch.from_numpy(weight).float(),
        init_bias=torch.from_numpy(bias).float(),
    )
    for module in (Normalize(), dense):
        encoder.append(module.to(encoder.device))


def centring(embeddings: Array, languages: Sequence[str]) -> tuple[Array, Array]:
    """Matrix (d, d) and offset (d,) for embeddings (n, d): matrix @ embedding + offset is centred.

    They remove the mean of the means of languages (not "") with `LEAST_TEXTS` texts or more, and
    directions in which these means differ. Without such a language, they remove the mean of all.
    """
    codes, number = np.unique(np.array(languages), return_inverse=True)
    frequent = [n for n, code in enumerate(codes) if code and (number == n).sum() >= LEAST_TEXTS]
    language_means = [embeddings[number == n].mean(axis=0) for n in frequent]
    means = np.array(language_means or [embeddings.mean(axis=0)])
    mean = means.mean(axis=0)
    # The means of n languages differ in n - 1 directions.
    directions = np.linalg.svd(means - mean, full_matrices=False)[2][: len(means) - 1]
    weight = np.eye(len(mean)) - directions.T @ directions
    return weight, -weight @ mean
