"""OpenVINO files, compared with TensorFlow 1.15.5 and read again: `make test-engines`."""

import os
import re
import shutil

from golden.weights import images
from helpers import GOLDEN, golden_arrays, softmax, write_golden_checkpoint
from inception_slim import checkpoint, cli, formats, inference
from inception_slim.checkpoint import CheckpointError
import numpy as np
import pytest

pytestmark = pytest.mark.engines
SLIM_V2 = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')


@pytest.mark.parametrize('precision, tolerance', [('float32', 1e-5), ('float16', 1e-2),
                                                  ('int8', 0.2)])
def test_predictions(tmp_path, precision, tolerance):
    import openvino  # here, so that this file can be collected without it

    result = formats.export(SLIM_V2, tmp_path / 'model', format='openvino', precision=precision,
                         calibration_images=images(4))
    assert sorted(os.listdir(tmp_path / 'model')) == ['openvino_model.bin', 'openvino_model.xml']
    assert sorted(os.listdir(tmp_path)) == ['model'] and result.same_top1 == result.images == 4
    model = openvino.Core().compile_model(tmp_path / 'model' / 'openvino_model.xml', 'CPU', {
        'INFERENCE_PRECISION_HINT': 'f32'})
    answer = model({'input': images(2)})
    logits = golden_arrays('checkpoints')['slim_v2']
    np.testing.assert_allclose(answer['predictions'], softmax(logits), atol=tolerance)
    np.testing.assert_allclose(softmax(answer['logits']), answer['predictions'], atol=1e-6)
    quantizers = [item for item in openvino.Core().read_model(
        tmp_path / 'model' / 'openvino_model.xml').get_ops()
        if item.get_type_name() == 'FakeQuantize']
    assert bool(quantizers) == (precision == 'int8')


def folded(path):
    info, weights = checkpoint.read(path)
    return info, inference.fold_batch_norm(weights)


@pytest.mark.parametrize('source', ['padded', '2015', 'inception_v2', 'inception_v4'])
def test_round_trip_is_exact(tmp_path, source):
    path = tmp_path / 'slim.ckpt'
    if source.startswith('inception'):
        write_golden_checkpoint(source, path)
    else:
        checkpoint.convert(SLIM_V2, path, pooling=source)
    formats.export(path, tmp_path / 'model', format='openvino')
    info, expected = folded(path)
    for again in ('model', 'model/openvino_model.xml'):
        info_again, weights = checkpoint.read(tmp_path / again)
        assert (info_again.format, info_again.network, info_again.pooling) == (
            'OpenVINO IR', info.network, info.pooling)
        expected = {name: value for name, value in expected.items() if 'AuxLogits' not in name}
        assert set(weights) == set(expected)
        for name, value in expected.items():
            np.testing.assert_array_equal(weights[name], value, err_msg=name)


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp('good')
    formats.export(SLIM_V2, folder / 'model', format='openvino')
    formats.export(SLIM_V2, folder / 'bytes', format='openvino', precision='int8',
                  calibration_images=images(2))
    return folder


def test_rejects_int8(good):
    with pytest.raises(CheckpointError, match='is quantized to int8, which cannot be converted'):
        checkpoint.read(good / 'bytes')


def test_rejects_missing_weights(good, tmp_path):
    shutil.copy(good / 'model' / 'openvino_model.xml', tmp_path)
    with pytest.raises(CheckpointError, match='does not exist; put it beside it'):
        checkpoint.read(tmp_path)


def test_rejects_models_of_other_programs(tmp_path):
    import openvino
    from openvino import opset8 as ops

    images = ops.parameter([1, 3], np.float32)
    openvino.save_model(openvino.Model([ops.relu(images)], [images]), tmp_path / 'other.xml')
    with pytest.raises(CheckpointError, match='do not have the names of TF-Slim'):
        checkpoint.read(tmp_path / 'other.xml')


def test_damaged_and_truncated(good, tmp_path):
    """Damage anywhere gives a one-line CheckpointError or goes unnoticed; no other error."""
    rng = np.random.RandomState(0)
    refused = 0
    for number in range(30):
        shutil.copytree(good / 'model', tmp_path / 'bad', dirs_exist_ok=True)
        path = tmp_path / 'bad' / ('openvino_model.xml' if number % 3 else 'openvino_model.bin')
        content = bytearray(path.read_bytes())
        place = rng.randint(len(content))
        if number % 2:
            del content[place:]
        else:
            for _ in range(8):
                content[rng.randint(len(content))] = rng.randint(256)
        path.write_bytes(content)
        try:
            checkpoint.read(tmp_path / 'bad')
        except CheckpointError as error:
            refused += 1
            assert '\n' not in str(error)
    assert refused >= 10


def test_convert_and_export_commands(tmp_path, capsys):
    folder = str(tmp_path / 'model')
    assert cli.main(['convert', SLIM_V2, folder, '--to', 'openvino']) == 0
    assert f'Wrote {folder}: openvino, float32' in capsys.readouterr().out
    assert cli.main(['export', folder, '--format', 'frozen', '--output', f'{folder}.pb']) == 0
    assert cli.main(['inspect', folder]) == 0
    assert 'OpenVINO IR' in capsys.readouterr().out


@pytest.mark.parametrize('pattern, new, message', [
    ('type="ReLU"', 'type="Tanh"', 'the activation tanh'),
    # OpenVINO compares these with the shapes that the file records.
    ('strides="2, ?2"', 'strides="1,1"', 'damaged'),
    ('dilations="1, ?1"', 'dilations="2,2"', 'damaged'),
    ('kernel="3, ?3"', 'kernel="2,2"', 'damaged')])
def test_another_structure_is_refused(good, tmp_path, pattern, new, message):
    shutil.copytree(good / 'model', tmp_path / 'model')
    path = tmp_path / 'model' / 'openvino_model.xml'
    text = re.sub(pattern, new, path.read_text())
    assert text != path.read_text()
    path.write_text(text)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.inspect(tmp_path / 'model')
