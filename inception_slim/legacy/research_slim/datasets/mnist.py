"""MNIST: handwritten digits."""

from inception_slim.legacy.research_slim.datasets._dataset_builder import DATASETS

SPLITS_TO_SIZES = DATASETS['mnist'].splits_to_sizes
get_split = DATASETS['mnist'].get_split
