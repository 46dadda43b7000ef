"""The audio front end: from samples to features by nodes like any other."""
