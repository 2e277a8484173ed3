"""Goes over the TFRecords of the patterns dataset once, with slim's data provider and queues."""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

import tensorflow as tf

slim = tf.contrib.slim

_FILE_PATTERN = 'patterns_%s_*.tfrecord'
SPLITS_TO_SIZES = {'train': 40, 'validation': 25}
_NUM_CLASSES = 5
_ITEMS_TO_DESCRIPTIONS = {
    'image': 'A color image of varying size.',
    'label': 'A single integer between 0 and 4.',
}


def get_split(split_name, dataset_dir, file_pattern=None, reader=None):
  if split_name not in SPLITS_TO_SIZES:
    raise ValueError('split name %s was not recognized.' % split_name)
  file_pattern = os.path.join(dataset_dir, (file_pattern or _FILE_PATTERN) % split_name)
  keys_to_features = {
      'image/encoded': tf.FixedLenFeature((), tf.string, default_value=''),
      'image/format': tf.FixedLenFeature((), tf.string, default_value='png'),
      'image/height': tf.FixedLenFeature((), tf.int64),
      'image/width': tf.FixedLenFeature((), tf.int64),
      'image/class/label': tf.FixedLenFeature(
          [], tf.int64, default_value=tf.zeros([], dtype=tf.int64)),
  }
  items_to_handlers = {
      'image': slim.tfexample_decoder.Image(),
      'height': slim.tfexample_decoder.Tensor('image/height'),
      'width': slim.tfexample_decoder.Tensor('image/width'),
      'label': slim.tfexample_decoder.Tensor('image/class/label'),
  }
  decoder = slim.tfexample_decoder.TFExampleDecoder(keys_to_features, items_to_handlers)
  return slim.dataset.Dataset(
      data_sources=file_pattern,
      reader=reader or tf.TFRecordReader,
      decoder=decoder,
      num_samples=SPLITS_TO_SIZES[split_name],
      items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
      num_classes=_NUM_CLASSES)


def main():
  for split in sorted(SPLITS_TO_SIZES):
    with tf.Graph().as_default():
      dataset = get_split(split, 'data')
      provider = slim.dataset_data_provider.DatasetDataProvider(
          dataset, shuffle=False, num_readers=1, num_epochs=1,
          common_queue_capacity=20, common_queue_min=10)
      print('%s: %d samples of %d classes; items: %s' % (
          split, dataset.num_samples, dataset.num_classes, ', '.join(provider.list_items())))
      image, height, width, label = provider.get(['image', 'height', 'width', 'label'])
      resized = tf.image.resize_images(image, [32, 32])
      images, heights, widths, labels = tf.train.batch(
          [resized, height, width, label], batch_size=8, num_threads=1, capacity=40)
      queue = slim.prefetch_queue.prefetch_queue([images, heights, widths, labels], capacity=2)
      images, heights, widths, labels = queue.dequeue()

      seen = 0
      with tf.Session() as sess:
        sess.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(sess=sess, coord=coord)
        try:
          while not coord.should_stop():
            np_images, np_heights, np_widths, np_labels = sess.run(
                [images, heights, widths, labels])
            seen += len(np_labels)
            print('labels %s, %d pixels, mean %.5f, deviation %.5f' % (
                np_labels.tolist(), (np_heights * np_widths).sum(),
                np_images.mean(), np_images.std()))
        except tf.errors.OutOfRangeError:
          print('Done: %d images' % seen)
        finally:
          coord.request_stop()
        coord.join(threads)


if __name__ == '__main__':
  main()
