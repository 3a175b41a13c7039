"""A driver plugin whose registration imports its client library."""

import sqlite3  # noqa: F401  # stands for the client library

from gallery.shelf import temporal_payloads_driver  # noqa: F401  # the hook
