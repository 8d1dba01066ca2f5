"""What a project folder is: params, the codebook of topics, paths, files and errors."""
