"""The datasets of research/slim by name."""

from __future__ import annotations

from inception_slim.legacy.research_slim.datasets import cifar10, flowers, imagenet, mnist
import tf_slim as slim

datasets_map = {'cifar10': cifar10, 'flowers': flowers, 'imagenet': imagenet, 'mnist': mnist}


def get_dataset(name, split_name, dataset_dir, file_pattern=None,
                reader=None) -> slim.dataset.Dataset:
    """Return a split of a dataset; the other arguments are those of its `get_split`.

    Args:
      name: a key of `datasets_map`.
      split_name: name of the split.
      dataset_dir: folder with the TFRecords.
      file_pattern: file names, with `%s` for the split; None for the default names.
      reader: reader of the records; None for `tf.TFRecordReader`.

    Raises:
      ValueError: there is no such dataset or split.
    """
    if name not in datasets_map:
        raise ValueError(f'Name of dataset unknown {name}; known datasets: '
                         f'{", ".join(datasets_map)}.')
    return datasets_map[name].get_split(split_name, dataset_dir, file_pattern, reader)
