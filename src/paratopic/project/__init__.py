"""The project folder: params, the codebook of topics, paths, files and errors."""
