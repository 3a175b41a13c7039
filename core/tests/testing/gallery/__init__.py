"""Plugins with one fault each, beside the good ones that they derive from; the kit finds each fault."""

from gallery.codecs import CODECS
from gallery.converters import CONVERTERS
from gallery.drivers import DRIVERS
from gallery.key_providers import KEY_PROVIDERS
from gallery.settings import SETTINGS

EXHIBITS = {exhibit.name: exhibit for exhibit in (*DRIVERS, *CODECS, *CONVERTERS, *KEY_PROVIDERS, *SETTINGS)}
