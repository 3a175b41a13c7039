"""Fails on import, as a plugin does whose dependency is missing."""

import a_library_that_nobody_has  # noqa: F401  # the point of it
