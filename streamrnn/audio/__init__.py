"""From what a sound card gives to what a session takes: any chunk, any common rate, whole hops out."""
