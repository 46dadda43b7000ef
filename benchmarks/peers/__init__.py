"""Other servers of the same network under the same load: `python -m benchmarks.peers`.

Each peer is a file of its own, written as its users write it: `onnxruntime_app`, `torch_app`, `batching_app`.
"""
