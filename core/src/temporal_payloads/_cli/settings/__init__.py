"""`temporal-payloads settings`: the settings that are in effect."""
