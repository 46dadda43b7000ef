"""Several servers on one port, one process each, and the small program that keeps them running."""
