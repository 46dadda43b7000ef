"""Models from ONNX: the graph is replayed on symbols, and the model of it is proved against the graph itself."""
