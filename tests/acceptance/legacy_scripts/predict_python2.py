#!/usr/bin/env python2
# Predicts the classes of some images and averages them by class. Python 2.
import os
import sys
import cPickle as pickle
from StringIO import StringIO
from itertools import izip

import numpy as np
import tensorflow as tf
from scipy.misc import imread, imsave
slim = tf.contrib.slim
from tensorflow.contrib.slim.nets import inception

IMAGE_DIR = 'data/images'
SIZE = 149


class Predictor:
    def __init__(self, checkpoint, names):
        self.names = names
        self.images = tf.placeholder(tf.float32, (None, SIZE, SIZE, 3))
        with slim.arg_scope(inception.inception_v3_arg_scope()):
            self.logits, self.end_points = inception.inception_v3(
                self.images, len(names), is_training=False, depth_multiplier=0.05, min_depth=4)
        self.sess = tf.Session()
        tf.train.Saver().restore(self.sess, checkpoint)

    def __call__(self, batch):
        return self.sess.run(self.end_points['Predictions'], {self.images: batch})


def load(path):
    # GFile without a mode, on a binary file: fine in Python 2
    with tf.gfile.Open(path) as f:
        image = imread(f, mode='RGB').astype(np.float) / 255.0
    height, width = image.shape[:2]
    rows = [y * height / SIZE for y in xrange(SIZE)]
    columns = [x * width / SIZE for x in xrange(SIZE)]
    return image[rows][:, columns] * 2.0 - 1.0


names = {}
for line in open('data/labels.txt'):
    number, name = line.strip().split(':')
    names[int(number)] = name
if not names.has_key(0) or len(names) <> 5:
    raise ValueError, 'labels.txt has %d names' % len(names)
print >>sys.stderr, 'reading', IMAGE_DIR

# every PIL decodes a JPEG in its own way, so PNG copies
content = tf.placeholder(tf.string)
png = tf.image.encode_png(tf.image.decode_jpeg(content, channels=3))
with tf.Session() as sess:
    for name in os.listdir(IMAGE_DIR):
        jpeg = open(os.path.join(IMAGE_DIR, name), 'rb').read()
        with tf.gfile.Open(name.replace('.jpg', '.png'), 'w') as f:
            f.write(sess.run(png, {content: jpeg}))

files = filter(lambda name: name.endswith('.png'), os.listdir('.'))
files.sort()
print len(files), 'images;', 'the middle one is', files[len(files) / 2]
images = np.array(map(lambda name: load(name), files))
print 'shape', images.shape, 'mean %.6f' % images.mean()

predictor = Predictor('data/inception_v3.ckpt', names)
sums = {}
for i in xrange(0, len(files), 3):
    for name, probabilities in izip(files[i:i + 3], predictor(images[i:i + 3])):
        best = int(probabilities.argmax())
        print '%-18s %-10s %.5f' % (name, names[best], probabilities[best])
        sums.setdefault(names[best], []).append(probabilities[best])
for name, values in sorted(sums.iteritems()):
    print name, '%d images, mean %.5f' % (len(values), np.mean(values))

out = StringIO()
print >>out, u'\u00e9' == unichr(233), 0777, 5L * 2,
print >>out, `sorted(names.values())`
print out.getvalue(),
with open('sums.pkl', 'wb') as f:
    pickle.dump(sums, f)
print sorted(pickle.load(open('sums.pkl', 'rb')).keys())
try:
    tf.train.Saver().restore(predictor.sess, 'model.ckpt-1')
except (ValueError, tf.errors.NotFoundError), e:
    print 'no checkpoint:', e.__class__.__name__
if not os.path.isdir('out'):
    os.mkdir('out')
with tf.gfile.Open('out/first.png', 'w') as f:
    imsave(f, (images[0] + 1.0) / 2.0, format='png')
print imread('out/first.png').sum()
