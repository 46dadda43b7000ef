"""Speech and sound: clips mixed into recordings, nets that hear, synthetic voices, and trials."""
