"""Garbage collection: what histories and the rest of the server need is marked, and stores are swept."""
