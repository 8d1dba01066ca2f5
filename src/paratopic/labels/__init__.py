"""labels.csv, the votes that count, agreement of annotators, weak sources and sample weights."""
