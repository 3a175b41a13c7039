"""Temporal external storage in PostgreSQL: the plugin `postgres` of temporal-payloads."""
