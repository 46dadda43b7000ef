"""Importers: from a framework's model to a spec and canonical tensors."""
