"""Stands for a client library that takes long to import."""


def connect(settings, context):
    raise ConnectionError("there is no shelf")
