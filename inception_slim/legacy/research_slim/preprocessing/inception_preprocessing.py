"""Inception preprocessing of research/slim, as graph ops of TensorFlow 1.

`inception_slim.data.preprocessing` is the stateless version, for graph and eager mode.
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
    """Return `func(x, case)` for a random `case` in [0, `num_cases`), drawn in each run."""
    selected = tf.random_uniform([], maxval=num_cases, dtype=tf.int32)
    return tf.switch_case(selected, [lambda case=case: func(x, case) for case in range(num_cases)])


def distort_color(image: tf.Tensor, color_ordering: int = 0, fast_mode: bool = True,
                  scope: str | None = None) -> tf.Tensor:
    """Distort colors at random; the distortions do not commute, so their order matters.

    Args:
      image: `[height, width, 3]` in [0, 1].
      color_ordering: one of four orders, 0 to 3.
      fast_mode: distort brightness and saturation only.
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
    """Crop an image at random so that the crop covers part of one of the bounding boxes.

    Args:
      image: `[height, width, 3]`.
      bbox: `[1, boxes, 4]`; ymin, xmin, ymax, xmax in [0, 1].
      min_object_covered: minimum fraction of a box that the crop covers.
      aspect_ratio_range: range of width / height.
      area_range: range of the crop's area as a fraction of the image's.
      max_attempts: attempts to find a crop; if all fail, the whole image is returned.
      scope: name scope.

    Returns:
      The crop, and its box `[1, 1, 4]`.
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
    """Distort an image at random for training.

    Args:
      image: `[height, width, 3]`; uint8, or floating point in [0, 1].
      height: height of the result.
      width: width of the result.
      bbox: bounding boxes `[1, boxes, 4]`; None for the whole image.
      fast_mode: only bilinear resizing, and only brightness and saturation distortion.
      scope: name scope.
      add_image_summaries: whether to add image summaries.
      random_crop: whether to crop the image.
      use_grayscale: whether to convert to one gray channel.

    Returns:
      `[height, width, 3]` float32 in [-1, 1].
    """
    with tf.name_scope(scope, 'distort_image', [image, height, width, bbox]):
        if bbox is None:
            bbox = tf.constant([0.0, 0.0, 1.0, 1.0], shape=[1, 1, 4])
        if image.dtype != tf.float32:
            image = tf.image.convert_image_dtype(image, dtype=tf.float32)

        def add_summary(name, image):
            if add_image_summaries:
                tf.summary.image(name, image)

        add_summary('image_with_bounding_boxes',
                    tf.image.draw_bounding_boxes(tf.expand_dims(image, 0), bbox))
        if random_crop:
            original = image
            image, box = distorted_bounding_box_crop(image, bbox)
            image.set_shape([None, None, 3])
            add_summary('images_with_distorted_bounding_box',
                        tf.image.draw_bounding_boxes(tf.expand_dims(original, 0), box))
        image = apply_with_random_selector(
            image, lambda x, method: tf.image.resize_images(x, [height, width], method),
            num_cases=1 if fast_mode else 4)
        image.set_shape([height, width, 3])
        add_summary('cropped_resized_image', tf.expand_dims(image, 0))
        image = tf.image.random_flip_left_right(image)
        image = apply_with_random_selector(
            image, lambda x, ordering: distort_color(x, ordering, fast_mode),
            num_cases=1 if fast_mode else 4)
        if use_grayscale:
            image = tf.image.rgb_to_grayscale(image)
        add_summary('final_distorted_image', tf.expand_dims(image, 0))
        return tf.multiply(tf.subtract(image, 0.5), 2.0)


def preprocess_for_eval(
        image: tf.Tensor, height: int | None, width: int | None,
        central_fraction: float | None = 0.875, scope: str | None = None,
        central_crop: bool = True, use_grayscale: bool = False) -> tf.Tensor:
    """Crop an image centrally and resize it, for evaluation.

    Args:
      image: `[height, width, 3]`; uint8, or floating point in [0, 1].
      height: height of the result; None does not resize.
      width: width of the result; None does not resize.
      central_fraction: side of the crop as a fraction of the image's; None does not crop.
      scope: name scope.
      central_crop: whether to crop.
      use_grayscale: whether to convert to one gray channel.

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
    """Call `preprocess_for_train` or `preprocess_for_eval`."""
    if is_training:
        return preprocess_for_train(
            image, height, width, bbox, fast_mode, add_image_summaries=add_image_summaries,
            random_crop=crop_image, use_grayscale=use_grayscale)
    return preprocess_for_eval(image, height, width, central_crop=crop_image,
                               use_grayscale=use_grayscale)
