"""Findings of a project: shares of topics, worse slices, doubtful labels, and pages of them."""
