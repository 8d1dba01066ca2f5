"""The stages of the pipeline, one module each. dvc.yaml runs them; no other module imports them."""
