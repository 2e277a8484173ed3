"""The curve of a training: what it reads of earlier runs, and what it draws."""

import os
import sys

from inception_slim.training.loss_plot import FILE_NAME, LossPlot
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf


def summary(loss, rate=0.01):
    return tf.Summary(value=[
        tf.Summary.Value(tag='losses/total', simple_value=loss),
        tf.Summary.Value(tag='learning_rate', simple_value=rate),
        tf.Summary.Value(tag='images_per_second', simple_value=99)])


def run(folder, suffix, losses):
    """The summaries of one run, `{step: loss}`, as TensorFlow's own writer leaves them."""
    writer = tf.summary.FileWriter(str(folder), filename_suffix=suffix)
    for step, loss in losses.items():
        writer.add_summary(summary(loss), step)
    writer.close()
    written = next(name for name in os.listdir(folder) if name.endswith(suffix))
    # The second that it was begun at is in its name; these are begun in the same.
    os.rename(folder / written, folder / f'events.out.tfevents.{1_000 + ord(suffix)}.here')
    return folder / f'events.out.tfevents.{1_000 + ord(suffix)}.here'


@pytest.fixture(autouse=True)
def graphs():
    with tf.Graph().as_default():  # outside of which the writer does not work
        yield


def test_goes_on_where_earlier_runs_stopped(tmp_path):
    run(tmp_path, 'a', {10: 3.0, 20: 2.5, 30: 9.0, 40: 9.5})
    # It went on from step 20, where the last checkpoint was.
    run(tmp_path, 'b', {30: 2.25, 40: 2.0, 50: 1.75})
    curve = LossPlot(str(tmp_path), 40)
    assert curve.points['losses/total'] == {10: 3.0, 20: 2.5, 30: 2.25, 40: 2.0}
    assert set(curve.points) == {'losses/total', 'learning_rate'}
    curve.add(50, summary(1.5).SerializeToString())
    assert list(curve.points['losses/total'].items())[-1] == (50, 1.5)
    assert LossPlot(str(tmp_path), 0).points == {}  # the first run of all


def test_an_event_cut_short(tmp_path):
    path = run(tmp_path, 'a', {10: 3.0, 20: 2.5, 30: 2.0})
    path.write_bytes(path.read_bytes()[:-7])
    run(tmp_path, 'b', {30: 1.5})
    (tmp_path / 'events.out.tfevents.9999.here').write_bytes(b'')
    assert LossPlot(str(tmp_path), 30).points['losses/total'] == {10: 3.0, 20: 2.5, 30: 1.5}


def test_draws(tmp_path):
    curve = LossPlot(str(tmp_path), 0)
    curve.draw()
    assert os.listdir(tmp_path) == []  # nothing to draw yet
    for step in (20, 40):
        curve.add(step, summary(60 / step).SerializeToString())
        curve.draw()
        assert os.listdir(tmp_path) == [FILE_NAME]
    image = Image.open(tmp_path / FILE_NAME)
    assert image.format == 'PNG' and image.size == (960, 660)
    # The first of matplotlib's colours is that of the total.
    assert (0x1f, 0x77, 0xb4) in {colour for _, colour in
                                  image.convert('RGB').getcolors(image.width * image.height)}


def test_what_cannot_be_written_stops_nothing(tmp_path):
    curve = LossPlot(str(tmp_path), 0)
    curve.add(20, summary(1.0).SerializeToString())
    (tmp_path / FILE_NAME).mkdir()
    (tmp_path / FILE_NAME / 'full').touch()
    curve.draw()
    assert sorted(os.listdir(tmp_path)) == [FILE_NAME]


def test_without_matplotlib(tmp_path, monkeypatch):
    run(tmp_path, 'a', {10: 3.0})
    monkeypatch.setitem(sys.modules, 'matplotlib', None)  # what import takes for absent
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    curve = LossPlot(str(tmp_path), 10)
    curve.add(20, summary(1.0).SerializeToString())
    curve.draw()
    assert curve.points == {} and FILE_NAME not in os.listdir(tmp_path)
