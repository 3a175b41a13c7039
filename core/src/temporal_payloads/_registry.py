"""Plugins by name (in progress)."""
class PluginRegistry:
    """In progress."""
