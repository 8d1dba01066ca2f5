"""The stages of the pipeline, one module each; dvc.yaml runs them. Nothing imports them."""
