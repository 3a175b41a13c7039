"""The storm: many workflows at once, while everything that they stand on fails, one thing after the other."""
