"""What core does around a storage driver, and the formats that histories hold of it."""
