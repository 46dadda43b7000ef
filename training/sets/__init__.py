"""Data sets, one module each: the `DataSet` that says where it came from, and loaders with its splits."""
