"""Writes the operations of TensorFlow 1.15.5, with their attributes, to operations_1_15.txt.

    .venv-1.15/bin/python tests/golden/make_operations.py

A line of inception_slim/operations_1_15.txt is an operation followed by its attributes.
"""

import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

from tensorflow.core.framework import op_def_pb2
from tensorflow.python import pywrap_tensorflow

HERE = os.path.dirname(os.path.abspath(__file__))
OPERATIONS = os.path.join(HERE, '..', '..', 'inception_slim', 'operations_1_15.txt')


def main():
    operations = op_def_pb2.OpList()
    operations.ParseFromString(
        pywrap_tensorflow.TF_GetBuffer(pywrap_tensorflow.TF_GetAllOpList()))
    with open(OPERATIONS, 'w') as file:
        for operation in sorted(operations.op, key=lambda operation: operation.name):
            if not operation.name.startswith('_'):  # made by the runtime only
                names = sorted(attribute.name for attribute in operation.attr)
                file.write(' '.join([operation.name] + names) + '\n')


if __name__ == '__main__':
    main()
