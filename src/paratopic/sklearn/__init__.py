"""Both kinds of model as estimators of scikit-learn.

They stand in `cross_val_score`, `GridSearchCV`, `VotingClassifier` and the like. Nothing else of
the package needs them: the pipeline calls `baseline` and `transformer` itself.
"""

try:
    from paratopic.sklearn.estimators import TopicClassifier
except ModuleNotFoundError as error:
    error.add_note("paratopic.sklearn needs more packages: pip install 'paratopic[train]'")
    raise

__all__ = ["TopicClassifier"]
