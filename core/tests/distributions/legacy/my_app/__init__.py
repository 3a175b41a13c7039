"""An application that has codecs of its own, and no distribution."""
