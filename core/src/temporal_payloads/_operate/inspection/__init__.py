"""What a person wants to see of payloads: layer by layer, from the server or from a file."""
