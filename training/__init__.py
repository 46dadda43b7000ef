"""Training of the models that streamrnn serves: data, loops, recipes and export; never needed to serve a model."""
