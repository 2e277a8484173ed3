"""Datasets of research/slim, read from local TFRecords."""
