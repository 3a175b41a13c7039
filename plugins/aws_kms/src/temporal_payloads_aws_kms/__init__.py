"""Data keys by AWS KMS, for keys whose URI begins with `awskms://`. Everything is configured by settings."""
