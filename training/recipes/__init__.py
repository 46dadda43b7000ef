"""Recipes: `python -m training.recipes.NAME train|evaluate|export`, one file each."""
