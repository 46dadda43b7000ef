"""What recurrent nets can and cannot learn, measured."""
