"""The networks that scripts import from the model library, on TensorFlow 1.15.5 and Python 3.7.

1.15.5 carries Inception V1 to V3 itself. Inception V4 and Inception-ResNet V2 are written out as
tables; the golden answers of tests/golden hold them to what the model library's own say.
"""
