"""How good models are, and how sure one can be of it."""
