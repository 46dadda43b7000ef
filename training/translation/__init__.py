"""From one language to another: pairs, pieces of words, the net, interpreters and how they are judged."""
