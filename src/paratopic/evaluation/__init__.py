"""Figures of how good models are, how sure they are, and the reports that show them."""
