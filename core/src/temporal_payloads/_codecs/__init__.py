"""Payload codecs: the base classes that they are made from, and several of them as one."""
