"""Whole order batches and replays, each contestant in worker processes of its own.

Nothing is imported here: a worker process must not have anything before its clock starts.
"""
