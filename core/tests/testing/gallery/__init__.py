"""Plugins with one fault each, beside the good ones that they derive from; the kit finds each fault."""

from gallery.codecs import CODECS
from gallery.converters import CONVERTERS
from gallery.drivers import DRIVERS
from gallery.key_providers import KEY_PROVIDERS
from gallery.settings import SETTINGS
from gallery.store_rooms import STORE_ROOMS

ALL = (*DRIVERS, *STORE_ROOMS, *CODECS, *CONVERTERS, *KEY_PROVIDERS, *SETTINGS)
EXHIBITS = {exhibit.name: exhibit for exhibit in ALL}
