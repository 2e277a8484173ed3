"""Converter of MNIST; downloads nothing, unlike the original."""

from inception_slim.legacy.research_slim.datasets._convert import convert_mnist as run

__all__ = ['run']
