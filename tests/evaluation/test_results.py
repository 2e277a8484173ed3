"""Result dataclasses: their representation and conversions."""

import json
import sys

from inception_slim.errors import InceptionSlimError
from inception_slim.evaluation import (
    Classification,
    Evaluation,
    FeaturesResult,
    FIDResult,
    InceptionScore,
    Prediction,
)
import numpy as np
import pytest

PREDICTIONS = [Prediction(f'{number}.png', [3, 1], ['cat', 'dog'], [0.75, 0.125])
               for number in range(4)]
RESULTS = [
    PREDICTIONS[0],
    Classification(PREDICTIONS, ['bad.png'], None),
    Evaluation(['a', 'b'], 3, 2 / 3, 1.0, np.array([[2, 0, 0], [0, 0, 1]]), [], 'warning', 9.5),
    FeaturesResult(np.zeros((2, 5), np.float32), ['1.png', '2.png'], []),
    FIDResult(1.5, None, None, (None, 30), []),
    InceptionScore(2.5, 0.5, 40, []),
]


@pytest.mark.parametrize('result', RESULTS, ids=lambda result: type(result).__name__)
def test_to_dict_is_json(result):
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


def test_to_dict_of_evaluation():
    values = RESULTS[2].to_dict()
    assert values['confusion'] == [[2, 0, 0], [0, 0, 1]]
    assert values['prediction_names'] == ['a', 'b', 'background']
    assert [row['accuracy'] for row in values['per_class']] == [1, 0]


def test_to_dict_of_written_features_has_no_array():
    written = FeaturesResult(np.zeros((2, 5)), ['1', '2'], [], 'a.npy', 'a.txt')
    assert written.to_dict() == {'names': ['1', '2'], 'unreadable': [], 'rotated': 0,
                                 'path': 'a.npy', 'list_path': 'a.txt', 'shape': [2, 5]}


def test_repr_is_short():
    assert repr(RESULTS[1]) == (
        "Classification(predictions=<list of 4>, unreadable=['bad.png'], warning=None, "
        "activation='softmax', rotated=0, threshold=None)")
    assert 'features=<float32 array [2, 5]>' in repr(RESULTS[3])
    assert 'top_1=0.666667' in repr(RESULTS[2])


def test_to_pandas_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pandas', None)
    with pytest.raises(InceptionSlimError, match='needs the package pandas'):
        RESULTS[0].to_pandas()


def test_to_pandas():
    table = RESULTS[1].to_pandas()
    assert list(table.columns) == ['name', 'rank', 'class', 'label', 'probability']
    assert len(table) == 8 and table['class'].tolist()[:2] == [3, 1]
    assert RESULTS[2].to_pandas()['accuracy'].tolist() == [1, 0]
    assert RESULTS[3].to_pandas().shape == (2, 5)
    assert RESULTS[4].to_pandas()['fid'].tolist() == [1.5]
