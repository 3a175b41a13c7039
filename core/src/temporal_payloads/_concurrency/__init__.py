"""Work off the event loop, bounded, shared, and with one resource for each loop."""
