"""What `temporal-payloads check` looks at beyond the settings: stores, codecs, Temporal, a codec server."""
