"""The baseline: TF-IDF features and logistic regression."""
