"""As much of the model library's factory as the scripts call."""

from __future__ import absolute_import, division, print_function

from preprocessing import inception_preprocessing


def get_preprocessing(name, is_training=False):
    if not name.startswith('inception'):
        raise ValueError('Preprocessing name [%s] was not recognized' % name)

    def preprocessing_fn(image, output_height, output_width):
        return inception_preprocessing.preprocess_image(image, output_height, output_width,
                                                        is_training=is_training)

    return preprocessing_fn
