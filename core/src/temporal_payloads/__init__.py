"""Temporal's DataConverter from declarative settings."""
