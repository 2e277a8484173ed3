"""`inception_slim.data.preprocessing`, by the name that its users import."""

from inception_slim.data.preprocessing import (
    AREA,
    ASPECT,
    BRIGHTNESS,
    CONTRAST,
    HUE,
    SATURATION,
    for_evaluation,
    for_training,
)

__all__ = ['AREA', 'ASPECT', 'BRIGHTNESS', 'CONTRAST', 'HUE', 'SATURATION', 'for_evaluation',
           'for_training']
