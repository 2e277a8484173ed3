"""The HTML reports of `classify` and `evaluate`."""
