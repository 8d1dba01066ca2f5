"""The transformer: a fine-tuned encoder and a linear head. The only room that knows torch."""
