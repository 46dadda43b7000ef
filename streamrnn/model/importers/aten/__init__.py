"""PyTorch's operations (ATen, as `torch.export` gives them) on symbols: one handler for each, found by its name."""
