"""Deployment of a model on several devices, as in research/slim."""
