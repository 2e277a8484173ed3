"""Networks of research/slim."""
