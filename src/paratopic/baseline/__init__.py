"""The baseline: TF-IDF and logistic regression."""
