"""The datasets of the model library by their names."""

from __future__ import annotations

from inception_slim.legacy.research_slim.datasets import cifar10, flowers, imagenet, mnist
import tf_slim as slim

datasets_map = {'cifar10': cifar10, 'flowers': flowers, 'imagenet': imagenet, 'mnist': mnist}


def get_dataset(name, split_name, dataset_dir, file_pattern=None,
                reader=None) -> slim.dataset.Dataset:
    """A split of a dataset; arguments after the name as of its `get_split`.

    Raises:
      ValueError: there is no dataset or no split of that name.
    """
    if name not in datasets_map:
        raise ValueError(f'Name of dataset unknown {name}; known are {", ".join(datasets_map)}.')
    return datasets_map[name].get_split(split_name, dataset_dir, file_pattern, reader)
