"""Moves payloads from one store to another, while workflows run."""
