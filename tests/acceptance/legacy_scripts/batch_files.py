# Input pipeline: a list of files and labels -> slice_input_producer -> shuffle_batch
import os

import numpy as np
import tensorflow as tf

IMAGE_W, IMAGE_H, BATCH_SIZE = 48, 48, 4


def get_files(file_dir):
    image_list, label_list = [], []
    names = ['checks', 'columns', 'diagonals', 'rings', 'rows']
    for file in sorted(os.listdir(file_dir)):
        name = file.split('_')
        image_list.append(os.path.join(file_dir, file))
        label_list.append(names.index(name[0]))
    temp = np.array([image_list, label_list]).transpose()
    return list(temp[:, 0]), [int(i) for i in temp[:, 1]]


def get_batch(image, label, shuffle):
    image = tf.cast(image, tf.string)
    label = tf.cast(label, tf.int32)
    input_queue = tf.train.slice_input_producer([image, label], num_epochs=2, shuffle=False)
    label = input_queue[1]
    image_contents = tf.read_file(input_queue[0])
    image = tf.image.decode_jpeg(image_contents, channels=3)
    image = tf.image.resize_image_with_crop_or_pad(image, IMAGE_W, IMAGE_H)
    image = tf.to_float(image)
    image = tf.image.adjust_brightness(image, 0.1)
    image = tf.image.adjust_contrast(image, 1.3)
    image = tf.image.rgb_to_grayscale(tf.image.flip_left_right(image))
    image = tf.image.per_image_standardization(image)
    if shuffle:
        return tf.train.shuffle_batch([image, label], batch_size=BATCH_SIZE, num_threads=1,
                                      capacity=20, min_after_dequeue=6, seed=4)
    return tf.train.batch([image, label], batch_size=BATCH_SIZE, num_threads=1, capacity=20)


def run(shuffle):
    image_list, label_list = get_files('data/images')
    image_batch, label_batch = get_batch(image_list, label_list, shuffle)
    labels, total = [], 0.0
    with tf.Session() as sess:
        sess.run(tf.local_variables_initializer())
        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(coord=coord)
        try:
            while not coord.should_stop():
                img, label = sess.run([image_batch, label_batch])
                labels += label.tolist()
                total += np.abs(img).sum()
                if not shuffle:
                    print(label, '%.4f' % (np.abs(img) * np.arange(48).reshape(48, 1, 1)).sum())
        except tf.errors.OutOfRangeError:
            print('done!')
        finally:
            coord.request_stop()
        coord.join(threads)
    # In whatever order they came: everything came twice.
    print('%d images, labels %s, %.3f in all' % (len(labels), sorted(labels), total))


run(shuffle=False)
tf.reset_default_graph()
run(shuffle=True)

tf.reset_default_graph()
tf.set_random_seed(1234)
files = tf.train.match_filenames_once('data/images/*.jpg')
queue = tf.train.string_input_producer(files, shuffle=True, seed=7, num_epochs=1)
key, content = tf.WholeFileReader().read(queue)
picture = tf.image.decode_jpeg(content)
with tf.Session() as sess:
    tf.local_variables_initializer().run()
    coord = tf.train.Coordinator()
    threads = tf.train.start_queue_runners(sess, coord)
    for i in range(8):
        name, pixels = sess.run([key, picture])
        print(os.path.basename(name.decode()), pixels.shape, pixels.mean())
    coord.request_stop()
    coord.join(threads)
