"""ImageNet 2012: photos of 1,000 classes, and a background class."""

from inception_slim.legacy.research_slim.datasets._dataset_builder import DATASETS

SPLITS_TO_SIZES = DATASETS['imagenet'].splits_to_sizes
get_split = DATASETS['imagenet'].get_split
