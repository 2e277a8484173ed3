"""The flowers dataset: photos of five classes."""

from inception_slim.legacy.research_slim.datasets._dataset_builder import DATASETS

SPLITS_TO_SIZES = DATASETS['flowers'].splits_to_sizes
get_split = DATASETS['flowers'].get_split
