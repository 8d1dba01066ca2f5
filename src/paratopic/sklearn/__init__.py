"""Both kinds of model as estimators of scikit-learn.

They stand in `cross_val_score`, `GridSearchCV`, `VotingClassifier` and the like. Nothing else of
the package needs them: the pipeline calls `baseline` and `transformer` itself.
"""

from paratopic.sklearn.estimators import TopicClassifier

__all__ = ["TopicClassifier"]
