"""Models: spec, compiler, file and importers."""
