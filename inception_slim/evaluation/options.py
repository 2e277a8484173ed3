"""Options shared by the functions that run a checkpoint on images."""

from __future__ import annotations

from dataclasses import dataclass

from inception_slim.data.image_header import MAX_PIXELS
from inception_slim.inference.options import InferenceOptions
from inception_slim.options import option, parse_color

EXIF_HELP = ('rotate and flip images as their EXIF orientation says, also in TFRecords; or take '
             'all pixels as they are stored, as TensorFlow 1.15.5 does (image files are rotated, '
             'TFRecords are not)')
BACKGROUND_HELP = ('color behind transparent pixels, such as white or #808080 (transparency is '
                   'dropped, as TensorFlow does)')
SCALED_DECODING_HELP = ('decode large JPEG files at 1/2, 1/4 or 1/8 of their size where that is '
                        "enough for the network's images: faster, with slightly other pixels")
IMAGE_SIZE_HELP = "height and width of the images in pixels (the network's own)"
CANDIDATES = ('all', 'dataset')
RESIZES = ('original', 'clean', 'pytorch')


@dataclass(frozen=True)
class EvaluationOptions(InferenceOptions):
    """Options of the functions that run a checkpoint on images, with those of `InferenceOptions`.

    Attributes:
      batch_size: images per batch, at least 1.
      strict: stop at an unreadable image instead of skipping it.
      max_pixels: an image with more pixels counts as unreadable; decoding takes 4 to 6 bytes of
        memory for each, and anti-aliasing another 12.
      exif: rotate and flip images as their EXIF orientation says. None does so for image files and
        not for TFRecords; False takes all pixels as they are stored, as TensorFlow 1.15.5 does.
      background: the color behind transparent pixels, as CSS writes it. None drops the
        transparency, as TensorFlow does: the colors of transparent pixels are used.
    """

    batch_size: int = option(32, 'images per batch', at_least=1)
    strict: bool = option(False, 'stop at an unreadable image instead of skipping it')
    max_pixels: int = option(
        MAX_PIXELS, 'skip an image with more pixels as unreadable', at_least=1)
    exif: bool | None = option(None, EXIF_HELP)
    background: str | None = option(None, BACKGROUND_HELP, metavar='COLOR')

    def __post_init__(self) -> None:
        parse_color(self.background)


@dataclass(frozen=True)
class PredictionOptions(EvaluationOptions):
    """Options of `classify`, `features`, `evaluate` and its variants.

    Attributes:
      image_size: height and width of the images in pixels; None means the network's own.
      scaled_decoding: decode large JPEG files at 1/2, 1/4 or 1/8 of their size, as long as their
        central crop has as many pixels as the network's images: faster, with other pixels than
        TensorFlow 1.15.5.
    """

    image_size: int | None = option(None, IMAGE_SIZE_HELP, at_least=1, parse=int)
    scaled_decoding: bool = option(False, SCALED_DECODING_HELP)


@dataclass(frozen=True)
class MetricOptions(EvaluationOptions):
    """Options of `fid`, `inception_score` and `compute_statistics`.

    Attributes:
      resize: how images are resized to the network's input size: 'original', the bilinear resizing
        of the first FID code, which most papers use; 'clean', with anti-aliasing; or 'pytorch',
        bilinear between pixel centers, as pytorch-fid.
      split: the split of a folder of TFRecords, such as 'validation'.
    """

    resize: str = option('original', 'how images are resized: as by the first FID code, with '
                         'anti-aliasing, or as by pytorch-fid', choices=RESIZES)
    split: str | None = option(None, 'the split of TFRecords, such as validation', metavar='NAME')
