"""Preprocessing of research/slim."""
