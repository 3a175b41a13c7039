"""Offers a driver under a name that another distribution offers too."""

import dataclasses

import shelf_storage
from temporal_payloads.plugin import hookimpl


@hookimpl
def temporal_payloads_driver():
    return dataclasses.replace(shelf_storage.temporal_payloads_driver(), driver_name="example.rival")
