"""The declarative settings: their models, where they are read from, and what can be wrong with them."""
