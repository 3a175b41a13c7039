"""What is stored: how much, whose, of which type, how old, and how often the same."""
