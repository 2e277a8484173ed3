"""The HTML report of `classify` and `evaluate`."""
