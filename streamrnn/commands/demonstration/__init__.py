"""The parts of `streamrnn demo`: the server it starts, sensors, text, checks, and the two ways to show them."""
