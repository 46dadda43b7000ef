"""Wire v1: messages, codec and legal order. Knows nothing of sockets or kernels."""
