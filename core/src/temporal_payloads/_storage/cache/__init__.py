"""Payloads that need not be fetched again: in memory, on disk, and a driver's view of both."""
