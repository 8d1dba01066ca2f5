"""A classifier of texts with the interface of scikit-learn: the pipeline's model, without files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from itertools import compress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from paratopic.corpus.folds import Folds, TooFewLabels, deal_labelled, deal_unlabelled, no_folds
from paratopic.corpus.labelled import Labelled, Unlabelled
from paratopic.inference.model import check_texts, load, numbered_texts
from paratopic.project.files import atomic_write
from paratopic.project.kinds import KINDS
from paratopic.project.languages import choose_encoder
from paratopic.project.params import Params, default_params
from paratopic.project.texts import Text, plain_texts
from paratopic.project.topics import Topic, Topics
from paratopic.training.calibration import calibrate_rows
from paratopic.training.crossval import cross_validate, fit_all, fitter, with_pool

# A label of y: a str or a number.
Label = Hashable
Labels = npt.NDArray[Any]


@dataclass(eq=False, repr=False)
class TopicClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """An estimator of scikit-learn that predicts the topics of texts.

    With the same seed, labels, groups, definitions and texts without a label, it becomes the same
    model as in the pipeline.

    Parameters
    ----------
    kind
        ``"transformer"``, the default, or ``"baseline"``: TF-IDF, which is fitted in seconds.
    definitions
        Label → definition of its topic, for every label but `none`; labels that `fit` does not see
        can be predicted too. None, the default, for no definitions.
    none
        The label of texts that have none of the topics; None, the default, if there are no such
        texts. It has no effect if texts have several topics.
    calibrate
        Whether out-of-fold scores calibrate probabilities and predictions; True by default. This
        takes 5 more fits, 15 with fewer than 50 texts, and one from 2,000 texts on.
    settings
        Settings of the kind of model, by their names in its section of params.yaml. The others have
        the defaults of a new project, and so have all by default.
    random_state
        Seed, as `seed` in params.yaml, or a generator of seeds; None, the default, draws a new seed
        for each fit.

    Attributes
    ----------
    classes_
        Labels in their order; numbers of the columns of y if texts have several topics.
    """

    kind: str = "transformer"
    _: KW_ONLY
    definitions: Mapping[Any, str] | None = None
    none: Label | None = None
    calibrate: bool = True
    settings: Mapping[str, object] | None = None
    random_state: int | np.random.RandomState | None = None

    def fit(
        self,
        X: Iterable[Text],
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        pool: Iterable[Text] | None = None,
    ) -> Self:
        """Fit the model to all texts, after its calibration on out-of-fold scores if `calibrate`.

        Parameters
        ----------
        X
            n texts, each a str or a `Passage`.
        y
            (n,) labels, or (n, k) zeros and ones if texts have several topics.
        groups
            (n,) article of each text. Texts of one article count less than as many texts of several
            articles, and no fold divides them. None, the default, makes each text an article of its
            own.
        pool
            Texts without a label, from which the transformer also learns unless half of the labels
            or more are `none`; at most `unlabelled`, a setting, are drawn. None by default.

        Raises
        ------
        TypeError
            An item is not a text.
        ValueError
            `kind` is unknown, y has another form or fewer than two topics, a label lacks its
            definition or cannot be a topic's name, or the lengths differ.
        UserError
            The kind of model has no such settings.

        Warns
        -----
        UserWarning
            Labels are too few for folds, so that nothing is calibrated although `calibrate` is set.
        """
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of model; there are {', '.join(KINDS)}")
        texts, y = check_texts(X), self._check_labels(y)
        check_consistent_length(texts, y, groups)
        topics, seed = self._read_labels(y), self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(2**31)
        params = default_params(topics, int(seed), self.kind, self.settings or {})
        encoders = {k: choose_encoder(e, plain_texts(texts))[0] for k, e in params.encoders.items()}
        params = params.with_encoders(encoders)
        labels = np.array(self._topics)
        targets = y[:, labels] if y.ndim == 2 else y[:, None] == labels
        named = [tuple(compress(topics.names, row)) for row in targets.tolist()]
        articles = range(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
        rows = _table(texts, "group", articles).assign(topic=pd.Series(named, dtype=object))
        unlabelled = check_texts(() if pool is None else pool)
        others = _table(unlabelled, "pool", range(len(unlabelled)))
        data = with_pool(Labelled(rows, topics), others, self.kind, params)
        folds, fit = self._folds(data, params), fitter(self.kind, params)
        dealt = deal_unlabelled(others, rows, folds, params.seed)
        data = replace(data, folds=folds.table, unlabelled=Unlabelled(dealt))
        # Without calibration nothing is held out; the final fit is the same.
        folded = data if self.calibrate else replace(data, folds=no_folds(rows, "").table)
        scores, _, without_context, _ = cross_validate(folded, fit, params.seed)
        _, calibration, _ = calibrate_rows(data, scores, params.calibrate)
        if not without_context.equals(scores):
            _, other, _ = calibrate_rows(data, without_context, params.calibrate)
            calibration = replace(calibration, without_context=other)
        fitted = fit_all(data, fit, params.seed)
        languages = fitted.audience(plain_texts(texts)).codes
        with TemporaryDirectory() as parent:
            folder = Path(parent) / "model"
            fitted.save(folder, calibration, languages)
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            self._files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
            self._model = load(folder)
        return self

    def predict_proba(self, X: Iterable[Text]) -> npt.NDArray[np.float64]:
        """Compute the probabilities of the classes of n texts.

        Returns
        -------
        (n, k) array, columns in the order of `classes_`. Rows sum to 1 if a text has one class. If
        no label means none of the topics, the probabilities are those given that it has a topic.
        """
        return self._predict(X)[0]

    def predict(self, X: Iterable[Text]) -> Labels:
        """Predict the class of each text, or its topics, as `Model.predict` does.

        If a text has one class, it is the one that would be likeliest if all classes were equally
        frequent, not always the one with the highest probability.

        Returns
        -------
        (n,) labels; if texts have several topics, (n, k) ones and zeros, columns as `classes_`.
        """
        _, predicted = self._predict(X)
        if self._model.mode.exclusive:
            return np.asarray(self.classes_[predicted.argmax(axis=1)])
        return predicted.astype(np.int64)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model's folder, which `paratopic.load` opens, over an earlier one if needed.

        The names of its topics are the labels.
        """
        check_is_fitted(self)
        with atomic_write(Path(folder)) as draft:
            for path, content in self._files.items():
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                (draft / path).write_bytes(content)

    def __getstate__(self) -> dict[str, object]:
        # A `Model` cannot be pickled, so that `__setstate__` loads it from the files again.
        state: dict[str, object] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_model"}

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)
        if "_files" in state:
            with TemporaryDirectory() as parent:
                self.save(Path(parent) / "model")
                self._model = load(Path(parent) / "model")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        tags.classifier_tags.multi_label = True
        return tags

    def _predict(self, X: Iterable[Text]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Probabilities (n, k) of `classes_`, and whether each is predicted, (n, k)."""
        check_is_fitted(self)
        model, columns = self._model, self._topics
        knows_none = len(columns) < len(self.classes_)
        scores, predicted, _, _ = model.scored(numbered_texts(X), forced=not knows_none)
        if knows_none:
            scores, columns = model.mode.complete(scores), [*columns, self.none]
        order = [columns.index(label) for label in self.classes_.tolist()]
        return scores[:, order], model.mode.outcomes(predicted)[:, order]

    def _check_labels(self, y: npt.ArrayLike | None) -> Labels:
        """y as an array, (n,), or (n, k) zeros and ones; a ValueError for None and other forms."""
        if y is None:
            raise ValueError("this classifier requires y to be passed, but the target y is None")
        values = np.asarray(None if hasattr(y, "toarray") else y, dtype=object)
        if values.ndim == 1 and (missing := np.flatnonzero(pd.isna(values))).size:
            raise ValueError(f"y[{missing[0]}] is missing: pass texts without a label as pool")
        check_classification_targets(y)
        if type_of_target(y) != "multilabel-indicator":
            return np.asarray(column_or_1d(y, warn=True))
        return np.asarray(y.toarray() if hasattr(y, "toarray") else y)

    def _read_labels(self, y: Labels) -> Topics:
        """Set `classes_` and `_topics` (all but `none`, ordered by `definitions`); the codebook.

        A ValueError reports fewer than two topics, and a label without definition or no valid name.
        """
        several = y.ndim == 2
        seen = list(range(y.shape[1])) if several else np.unique(y).tolist()
        unseen = [label for label in self.definitions or () if label not in seen]
        if several and unseen:
            raise ValueError(f"definitions: {unseen[0]!r} is no column of y; give it one of zeros")
        self.classes_ = np.unique([*seen, *unseen])
        if self.none is not None and self.none not in self.classes_.tolist():
            warnings.warn(f"none: no text has the label {self.none!r}", stacklevel=3)
        labels: list[Label] = self.classes_.tolist()
        defined = dict.fromkeys(labels, "") if self.definitions is None else self.definitions
        self._topics = [label for label in defined if several or label != self.none]
        undefined = [label for label in labels if label not in (*self._topics, self.none)]
        if undefined:
            raise ValueError(f"definitions: every label needs one, and {undefined[0]!r} has none")
        if len(self._topics) < 2:
            raise ValueError(
                f"y has {len(self._topics)} class of topics, and a classifier needs two at least"
            )
        codebook = tuple(Topic(str(label), defined[label]) for label in self._topics)
        return Topics("multi" if several else "single", codebook)

    def _folds(self, data: Labelled, params: Params) -> Folds:
        """Folds of the texts; if labels are too few, `no_folds`, and a warning if `calibrate`."""
        try:
            return deal_labelled(data, params.split, params.seed)
        except TooFewLabels as error:
            if self.calibrate:
                warnings.warn(f"probabilities are not calibrated: {error}", stacklevel=3)
            return no_folds(data.rows, str(error))


def _table(texts: list[Text], name: str, articles: Iterable[int]) -> pd.DataFrame:
    """Paragraph table: id and article ("NAME 000000007"), text, passage, boilerplate (False)."""
    rows = {
        "id": [f"{name} {number:09}" for number in range(len(texts))],
        "article": [f"{name} {number:09}" for number in articles],
        "text": plain_texts(texts),
        "passage": pd.Series(texts, dtype=object),
        "boilerplate": np.zeros(len(texts), dtype=bool),
    }
    return pd.DataFrame(rows)
