"""Inception's preprocessing as the model library had it, in graphs, on TensorFlow 1's own ops.

`inception_slim.data.preprocessing` is the same for today: stateless, and in any mode.
"""

from __future__ import annotations

from collections.abc import Callable

from inception_slim.data.preprocessing import AREA, BRIGHTNESS, CONTRAST, HUE, SATURATION
import tensorflow.compat.v1 as tf

_FAST_ORDERS = (('brightness', 'saturation'), ('saturation', 'brightness'))
_ORDERS = (('brightness', 'saturation', 'hue', 'contrast'),
           ('saturation', 'brightness', 'contrast', 'hue'),
           ('contrast', 'hue', 'brightness', 'saturation'),
           ('hue', 'saturation', 'contrast', 'brightness'))
_DISTORTIONS = {
    'brightness': lambda image: tf.image.random_brightness(image, max_delta=BRIGHTNESS),
    'saturation': lambda image: tf.image.random_saturation(image, *SATURATION),
    'hue': lambda image: tf.image.random_hue(image, max_delta=HUE),
    'contrast': lambda image: tf.image.random_contrast(image, *CONTRAST),
}


def apply_with_random_selector(x: tf.Tensor, func: Callable, num_cases: int) -> tf.Tensor:
    """`func(x, case)`, where `case` is drawn of 0 to `num_cases` - 1 at each run."""
    chosen = tf.random_uniform([], maxval=num_cases, dtype=tf.int32)
    return tf.switch_case(chosen, [lambda case=case: func(x, case) for case in range(num_cases)])


def distort_color(image: tf.Tensor, color_ordering: int = 0, fast_mode: bool = True,
                  scope: str | None = None) -> tf.Tensor:
    """Colours changed by chance, in one of four orders, since the changes do not commute.

    Args:
      image: `[height, width, 3]` in [0, 1].
      color_ordering: which order, 0 to 3.
      fast_mode: brightness and saturation alone.
      scope: name scope.
    """
    with tf.name_scope(scope, 'distort_color', [image]):
        if fast_mode:
            names = _FAST_ORDERS[color_ordering != 0]
        elif 0 <= color_ordering < len(_ORDERS):
            names = _ORDERS[color_ordering]
        else:
            raise ValueError('color_ordering must be in [0, 3]')
        for name in names:
            image = _DISTORTIONS[name](image)
        return tf.clip_by_value(image, 0.0, 1.0)


def distorted_bounding_box_crop(
        image: tf.Tensor, bbox: tf.Tensor, min_object_covered: float = 0.1,
        aspect_ratio_range: tuple[float, float] = (0.75, 1.33),
        area_range: tuple[float, float] = AREA, max_attempts: int = 100,
        scope: str | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """A piece of an image that covers enough of one of the boxes, and where it was.

    Args:
      image: `[height, width, 3]`.
      bbox: `[1, boxes, 4]`, of y, x, y and x in [0, 1].
      min_object_covered: the least part of a box that is covered.
      aspect_ratio_range: of width by height.
      area_range: of the image's area.
      max_attempts: to find one, or else it is the whole image.
      scope: name scope.
    """
    with tf.name_scope(scope, 'distorted_bounding_box_crop', [image, bbox]):
        begin, size, box = tf.image.sample_distorted_bounding_box(
            tf.shape(image), bounding_boxes=bbox, min_object_covered=min_object_covered,
            aspect_ratio_range=aspect_ratio_range, area_range=area_range,
            max_attempts=max_attempts, use_image_if_no_bounding_boxes=True)
        return tf.slice(image, begin, size), box


def preprocess_for_train(
        image: tf.Tensor, height: int, width: int, bbox: tf.Tensor | None, fast_mode: bool = True,
        scope: str | None = None, add_image_summaries: bool = True, random_crop: bool = True,
        use_grayscale: bool = False) -> tf.Tensor:
    """An image distorted as in training.

    Args:
      image: `[height, width, 3]`; uint8, or floating point in [0, 1].
      height: of the result.
      width: of the result.
      bbox: `[1, boxes, 4]` of the objects; None for the whole image.
      fast_mode: bilinear resizing alone, brightness and saturation alone.
      scope: name scope.
      add_image_summaries: shows what has been done.
      random_crop: False leaves the image whole.
      use_grayscale: makes the image grey, of one channel.

    Returns:
      `[height, width, 3]` float32 in [-1, 1].
    """
    with tf.name_scope(scope, 'distort_image', [image, height, width, bbox]):
        if bbox is None:
            bbox = tf.constant([0.0, 0.0, 1.0, 1.0], shape=[1, 1, 4])
        if image.dtype != tf.float32:
            image = tf.image.convert_image_dtype(image, dtype=tf.float32)

        def show(name, image):
            if add_image_summaries:
                tf.summary.image(name, image)

        show('image_with_bounding_boxes',
             tf.image.draw_bounding_boxes(tf.expand_dims(image, 0), bbox))
        if random_crop:
            whole = image
            image, box = distorted_bounding_box_crop(image, bbox)
            image.set_shape([None, None, 3])
            show('images_with_distorted_bounding_box',
                 tf.image.draw_bounding_boxes(tf.expand_dims(whole, 0), box))
        image = apply_with_random_selector(
            image, lambda x, method: tf.image.resize_images(x, [height, width], method),
            num_cases=1 if fast_mode else 4)
        image.set_shape([height, width, 3])
        show('cropped_resized_image', tf.expand_dims(image, 0))
        image = tf.image.random_flip_left_right(image)
        image = apply_with_random_selector(
            image, lambda x, ordering: distort_color(x, ordering, fast_mode),
            num_cases=1 if fast_mode else 4)
        if use_grayscale:
            image = tf.image.rgb_to_grayscale(image)
        show('final_distorted_image', tf.expand_dims(image, 0))
        return tf.multiply(tf.subtract(image, 0.5), 2.0)


def preprocess_for_eval(
        image: tf.Tensor, height: int | None, width: int | None,
        central_fraction: float | None = 0.875, scope: str | None = None,
        central_crop: bool = True, use_grayscale: bool = False) -> tf.Tensor:
    """The middle of an image, resized, as in evaluation.

    Args:
      image: `[height, width, 3]`; uint8, or floating point in [0, 1].
      height: of the result; None leaves the size as it is.
      width: the same.
      central_fraction: side of the crop, of that of the image; None crops nothing.
      scope: name scope.
      central_crop: False crops nothing.
      use_grayscale: makes the image grey, of one channel.

    Returns:
      `[height, width, 3]` float32 in [-1, 1].
    """
    with tf.name_scope(scope, 'eval_image', [image, height, width]):
        if image.dtype != tf.float32:
            image = tf.image.convert_image_dtype(image, dtype=tf.float32)
        if use_grayscale:
            image = tf.image.rgb_to_grayscale(image)
        if central_crop and central_fraction:
            image = tf.image.central_crop(image, central_fraction=central_fraction)
        if height and width:
            image = tf.image.resize_bilinear(tf.expand_dims(image, 0), [height, width],
                                             align_corners=False)
            image = tf.squeeze(image, [0])
        return tf.multiply(tf.subtract(image, 0.5), 2.0)


def preprocess_image(
        image: tf.Tensor, height: int, width: int, is_training: bool = False,
        bbox: tf.Tensor | None = None, fast_mode: bool = True, add_image_summaries: bool = True,
        crop_image: bool = True, use_grayscale: bool = False) -> tf.Tensor:
    """What `preprocess_for_train` or `preprocess_for_eval` makes of an image."""
    if is_training:
        return preprocess_for_train(
            image, height, width, bbox, fast_mode, add_image_summaries=add_image_summaries,
            random_crop=crop_image, use_grayscale=use_grayscale)
    return preprocess_for_eval(image, height, width, central_crop=crop_image,
                               use_grayscale=use_grayscale)
