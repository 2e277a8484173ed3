"""A benchmark worker (see `worker_protocol`) that trains Keras' own Inception V3.

    python train_keras_worker.py 'Keras PRECISION' BATCH_SIZE

The network of `keras.applications` has no auxiliary head; one like TF-Slim's is added. Losses, L2,
RMSProp, clipping of each variable's gradient and the moving averages of the weights have the same
settings, by Keras' own means.
"""

import os
import sys

from worker_protocol import serve_steps

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

CLASSES = 1001
WEIGHT_DECAY = 0.00004


def network(side: int = 299):
    import keras
    from keras import layers

    base = keras.applications.InceptionV3(weights=None, classes=CLASSES,
                                          input_shape=(side, side, 3), classifier_activation=None)

    def conv(net, channels, kernel):
        net = layers.Conv2D(channels, kernel, use_bias=False)(net)
        return layers.ReLU()(layers.BatchNormalization(scale=False)(net))

    grid = base.get_layer('mixed7').output  # 17×17×768, Mixed_6e of slim
    net = conv(layers.AveragePooling2D(5, strides=3)(grid), 128, 1)
    net = layers.Flatten()(conv(net, 768, tuple(net.shape[1:3])))
    # Losses are computed in float32 in every policy.
    outputs = [layers.Activation('linear', dtype='float32')(logits) for logits in (
        base.output, layers.Dense(CLASSES, name='aux_logits')(net))]
    model = keras.Model(base.input, outputs)
    for layer in model.layers:
        if isinstance(layer, (layers.Conv2D, layers.Dense)):
            layer.kernel.regularizer = keras.regularizers.L2(WEIGHT_DECAY / 2)
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 1000, 0.94, staircase=True)
    model.compile(
        keras.optimizers.RMSprop(rate, rho=0.9, momentum=0.9, epsilon=1.0, clipnorm=2.0,
                                 use_ema=True, ema_momentum=0.9999),
        [keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)] * 2,
        [1.0, 0.4])
    return model


def main():
    import keras
    import numpy as np
    import tensorflow as tf

    precision, batch_size = sys.argv[1].split()[1], int(sys.argv[2])
    if precision == 'bfloat16':
        keras.mixed_precision.set_dtype_policy('mixed_bfloat16')
    model = network()
    rng = np.random.RandomState(0)
    images = rng.uniform(-1, 1, (batch_size, 299, 299, 3)).astype('f')
    labels = np.eye(CLASSES, dtype='f')[rng.randint(CLASSES, size=batch_size)]
    serve_steps(f'Keras {keras.__version__} on TensorFlow {tf.__version__}',
                lambda: model.train_on_batch(images, [labels, labels]))


if __name__ == '__main__':
    main()
