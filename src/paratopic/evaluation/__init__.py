"""Figures of how good models are and how sure they are, and which of them is the champion."""
