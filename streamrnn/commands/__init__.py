"""The commands of the `streamrnn` command line, one module each, with what only they need."""
