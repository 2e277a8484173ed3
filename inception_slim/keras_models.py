"""`inception_slim.formats.keras`' models, by the name that their users import."""

from inception_slim.formats.keras import BODIES, keras_model

__all__ = ['BODIES', 'keras_model']
