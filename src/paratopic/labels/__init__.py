"""labels.csv: who said what about a paragraph, which answer counts, and how far people agree."""
