"""Converter of CIFAR-10; downloads nothing, unlike the original."""

from inception_slim.legacy.research_slim.datasets._convert import convert_cifar10 as run

__all__ = ['run']
