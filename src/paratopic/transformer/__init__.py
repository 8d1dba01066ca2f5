"""The transformer: a fine-tuned encoder and a linear head. Only this room imports torch."""
