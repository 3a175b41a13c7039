"""`python -m temporal_payloads`, for where the command's directory is not on the path."""

from temporal_payloads._cli import run

run()
