"""A classifier of texts with the interface of scikit-learn.

It writes no model's folder, calibrates no probabilities and promises nothing of sure predictions:
the pipeline does (`stages`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from paratopic.inference.model import listed
from paratopic.inference.modes import HALF, mode_of
from paratopic.project.files import template
from paratopic.project.folder import Project
from paratopic.project.kinds import KINDS
from paratopic.project.params import with_settings
from paratopic.project.texts import Text
from paratopic.project.topics import Topic, Topics
from paratopic.training.crossval import fitter
from paratopic.training.examples import Examples, silent

# A label of y: a str or a number.
Label = Hashable
Labels = npt.NDArray[Any]


@dataclass(eq=False, repr=False)
class TopicClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A kind of model that is not trained yet.

    Its probabilities are not calibrated; `CalibratedClassifierCV` does that. It learns from the
    labelled texts and the definitions alone, and from no paragraphs without a label.

    Parameters
    ----------
    kind
        ``"baseline"``, the default: TF-IDF and logistic regression; or ``"transformer"``.
    definitions
        Label → definition of its topic, for every label but `none`; labels that `fit` does not see
        can be predicted too. None, the default, leaves the meaning of the topics to labels alone.
    none
        The label of texts that have none of the topics; None, the default, if there are no such
        texts. It has no effect where texts have several topics.
    settings
        Settings of the kind of model, by their names in its section of params.yaml. Those that are
        not there are as in a new project, which is all of them by default.
    random_state
        Seed of the random draws, or a generator of it; None, the default, takes another each time.

    Attributes
    ----------
    classes_
        Labels in their order; numbers of the columns of y if texts have several topics.
    """

    kind: str = "baseline"
    _: KW_ONLY
    definitions: Mapping[Any, str] | None = None
    none: Label | None = None
    settings: Mapping[str, object] | None = None
    random_state: int | np.random.RandomState | None = None

    def fit(self, X: Iterable[Text], y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            n texts, each a str or a `Passage`.
        y
            (n,) labels, or (n, k) zeros and ones if texts have several topics.
        groups
            (n,) which article each text is from. Texts of one article count less than as many of
            others, and are not divided when a setting is chosen. None, the default, makes each text
            an article of its own.

        Raises
        ------
        TypeError
            An item is not a text.
        ValueError
            There are fewer than two topics, a label lacks its definition, or the lengths differ.
        UserError
            The settings are not those of the kind of model.
        """
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of model; there are {', '.join(KINDS)}")
        texts, y = listed(X), self._checked(y)
        check_consistent_length(texts, y, groups)
        several = y.ndim == 2
        seen = list(range(y.shape[1])) if several else np.unique(y).tolist()
        self.classes_ = np.unique([*seen, *(self.definitions or ())])
        topics: list[Label] = self.classes_.tolist()
        self._topics = topics = [label for label in topics if several or label != self.none]
        targets = y.astype(bool) if several else y[:, None] == np.array(topics)[None]
        if len(topics) < 2:
            raise ValueError(
                f"y has {len(topics)} class of topics, and a classifier needs two at least"
            )
        defined = dict.fromkeys(topics, "") if self.definitions is None else self.definitions
        if lacking := [label for label in topics if label not in defined]:
            raise ValueError(f"definitions: every label needs one, and {lacking[0]!r} has none")
        # Any label can be a topic that is named by its number.
        codebook = [Topic(str(i), defined[label]) for i, label in enumerate(topics)]
        usual = Project(template()).params  # as in a new project
        params = with_settings(usual, self.kind, self.settings or {})
        params = replace(params, topics=Topics("multi" if several else "single", tuple(codebook)))
        of = np.arange(len(texts)) if groups is None else np.unique(groups, return_inverse=True)[1]
        seed = int(check_random_state(self.random_state).randint(2**31))
        fit = fitter(KINDS[self.kind], params)
        self._fitted = fit(Examples(texts, targets, of, of), seed, silent)
        return self

    def predict_proba(self, X: Iterable[Text]) -> npt.NDArray[np.float64]:
        """Compute the probabilities of the classes of n texts.

        Returns
        -------
        (n, k) array, columns in the order of `classes_`. Rows sum to 1 if a text has one class. If
        no label means none of the topics, the probabilities are those given that it has a topic.
        """
        check_is_fitted(self)
        scores, columns = self._fitted.predict_proba(listed(X)), self._topics
        mode = mode_of(self._fitted.topics.mode)
        if len(columns) < len(self.classes_):
            scores, columns = mode.complete(scores), [*columns, self.none]
        else:
            scores = mode.conditional(scores)
        return scores[:, [columns.index(label) for label in self.classes_.tolist()]]

    def predict(self, X: Iterable[Text]) -> Labels:
        """Predict the most probable class of each text; of several topics, those of one half.

        Unlike `Model.predict`, it does not take all outcomes as equally frequent.

        Returns
        -------
        (n,) labels; if texts have several topics, (n, k) whether each has each of `classes_`.
        """
        probabilities = self.predict_proba(X)
        if self._fitted.topics.most > 1:
            return (probabilities >= HALF).astype(np.int64)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        tags.classifier_tags.multi_label = True
        return tags

    def _checked(self, y: npt.ArrayLike | None) -> Labels:
        """The labels, (n,), or those of several topics, (n, k)."""
        if y is None:
            raise ValueError("this classifier requires y to be passed, but the target y is None")
        check_classification_targets(y)
        if type_of_target(y) != "multilabel-indicator":
            return np.asarray(column_or_1d(y, warn=True))
        return np.asarray(y.toarray() if hasattr(y, "toarray") else y)
