"""ImageNet 2012: photos of 1,000 classes, and a background class."""

from inception_slim.data import imagenet_classes
from inception_slim.legacy.research_slim.datasets._dataset_builder import DATASETS

SPLITS_TO_SIZES = DATASETS['imagenet'].splits_to_sizes
get_split = DATASETS['imagenet'].get_split


def create_readable_names_for_imagenet_labels() -> dict[int, str]:
    """Return the names of the 1,001 classes by number; 0 is the background."""
    return {0: 'background',
            **{number: name for number, (_, name) in enumerate(imagenet_classes(), 1)}}
