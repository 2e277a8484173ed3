# Folder of images -> predictions.csv, with scipy and a placeholder
from __future__ import print_function
import csv
import os
import numpy as np
import scipy.misc
from scipy.misc import imread, imresize, imsave
import tensorflow as tf
import tensorflow.contrib.slim as slim
import tensorflow.contrib.slim.nets as nets

image_dir = 'data/images'
size = 149
batch_shape = (8, size, size, 3)

images = np.zeros(batch_shape, dtype=np.float)
kept = np.ones(8, dtype=np.bool)
names = sorted(os.listdir(image_dir))
for i, name in enumerate(names):
    img = imread(os.path.join(image_dir, name), mode='RGB')
    print(name, img.shape, img.dtype, img.sum())
    if img.shape[0] > img.shape[1]:
        img = np.rot90(img)
    img = imresize(img, (size, size), interp='bilinear')
    images[i] = img.astype(np.float) / 255.0 * 2.0 - 1.0
    kept[i] = i % 3 != 2

gray = imread(os.path.join(image_dir, names[0]), flatten=True)
print('gray', gray.shape, gray.dtype, '%.3f' % gray.mean())
print('half', imresize(gray, 0.5).shape, 'percent', imresize(gray, 50, 'nearest').sum())
print('cubic', scipy.misc.imresize(img, (20, 30, 3), interp='bicubic').sum())
imsave('contrast.png', (images[0] + 1.0) / 2.0)
print('saved', scipy.misc.imread('contrast.png').sum())
scipy.misc.toimage(images[1], cmin=-1.0, cmax=1.0).save('plain.png')
print('plain', imread('plain.png').sum())

X = tf.placeholder(tf.float32, shape=[None, size, size, 3])
with slim.arg_scope(nets.inception.inception_v3_arg_scope()):
    logits, end_points = nets.inception.inception_v3(
        X, 5, is_training=False, depth_multiplier=0.05, min_depth=4)
probs = end_points['Predictions']
saver = tf.train.Saver(slim.get_model_variables())

config = tf.ConfigProto(allow_soft_placement=True)
config.gpu_options.allow_growth = True
sess = tf.InteractiveSession(config=config)
saver.restore(sess, 'data/inception_v3.ckpt')
p = probs.eval(feed_dict={X: images[kept]})
best = np.argmax(p, axis=1).astype(np.int)
with open('predictions.csv', 'w') as f:
    writer = csv.writer(f)
    writer.writerow(['image', 'label', 'probability'])
    for name, label, row in zip(np.array(names, dtype=np.object)[kept], best, p):
        writer.writerow([name, label, '%.5f' % row[label]])
print(open('predictions.csv').read())
sess.close()
