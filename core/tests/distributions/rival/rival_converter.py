"""Offers a payload converter under a name that another distribution offers too."""

from tidy_converter import temporal_payloads_payload_converter  # noqa: F401  # the same, from elsewhere
