"""`temporal-payloads gc`: garbage collection."""
