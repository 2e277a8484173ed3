"""CIFAR-10: small photos of ten classes."""

from inception_slim.legacy.research_slim.datasets._dataset_builder import DATASETS

SPLITS_TO_SIZES = DATASETS['cifar10'].splits_to_sizes
get_split = DATASETS['cifar10'].get_split
