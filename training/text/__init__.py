"""Models of text and of names: corpora, n-grams to be held against, nets, drawing and judging."""
