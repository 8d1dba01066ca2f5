"""labels.csv: who gave which label, which of several answers counts, and how far people agree."""
