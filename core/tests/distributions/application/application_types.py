"""A module of the application, which it may pass through the sandbox itself."""
