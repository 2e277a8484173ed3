"""Libraries initialise themselves in one thread; predictors do not hang in a forked child."""

from concurrent.futures import ThreadPoolExecutor
import functools
import os
import subprocess
import sys
import threading

from golden.weights import images
from helpers import GOLDEN
from inception_slim import inference
from inception_slim.inference import engines
from inception_slim.inference.engines.selection import PRECISIONS_OF, is_installed
import pytest

CHECKPOINT = os.path.join(GOLDEN, 'checkpoints', 'slim_v2', 'model.ckpt-157585')
# Two threads load a predictor and run it. Both reach their first inference at the same time, with
# a switch interval of a microsecond.
FIRST_CALLS = '''
import sys
import threading
import numpy as np
from inception_slim import inference
from inception_slim.inference import engines

engine, precision, checkpoint = sys.argv[1:]
warm_up = engines.warm_up
images = np.random.RandomState(0).uniform(-1, 1, (9, 299, 299, 3)).astype('float32')
barrier = threading.Barrier(2)
results = []


def synchronized_warm_up(*arguments):
    barrier.wait()
    sys.setswitchinterval(1e-6)
    warm_up(*arguments)
    sys.setswitchinterval(0.005)


def run():
    barrier.wait()
    with inference.load(checkpoint, engine=engine, precision=precision,
                        calibration_images=images[:2]) as predictor:
        results.append(predictor.logits(images))


engines.warm_up = synchronized_warm_up  # before the modules of the engines import it
threads = [threading.Thread(target=run) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(results) == 2 and np.allclose(*results, atol=1e-4)
'''


def run_first_calls(engine):
    subprocess.run(
        [sys.executable, '-c', FIRST_CALLS, engine, PRECISIONS_OF[engine][0], CHECKPOINT],
        check=True, timeout=300, env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'})


class TestWarmUp:

    @pytest.fixture(autouse=True)
    def nothing_initialized(self, monkeypatch):
        monkeypatch.setattr(engines, '_initialized', set())

    def test_calls_of_two_threads_do_not_overlap(self):
        calls, running, overlaps = [], [], []
        both_started = threading.Barrier(2)

        def infer():
            overlaps.extend(running)
            running.append(1)
            calls.append(1)
            running.pop()

        def load():
            both_started.wait()
            engines.warm_up('library', infer)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(calls), overlaps) == (1, [])

    def test_once_for_each_library(self):
        calls = []
        for library in ('one', 'other', 'one'):
            engines.warm_up(library, functools.partial(calls.append, library))
        assert calls == ['one', 'other']

    def test_again_after_an_error(self):
        with pytest.raises(ZeroDivisionError):
            engines.warm_up('library', lambda: 1 / 0)
        calls = []
        engines.warm_up('library', lambda: calls.append(1))
        assert calls == [1]

    @pytest.mark.parametrize('engine', [
        'onnxruntime', pytest.param('tflite', marks=pytest.mark.slow),
        pytest.param('openvino', marks=pytest.mark.engines)])
    def test_loading_initializes(self, engine):
        with inference.load(CHECKPOINT, engine=engine, precision=PRECISIONS_OF[engine][0],
                            calibration_images=images(2)):
            assert engine in engines._initialized


@pytest.mark.parametrize('count', [
    pytest.param(3, marks=pytest.mark.engines), pytest.param(200, marks=pytest.mark.acceptance)])
@pytest.mark.parametrize('engine', PRECISIONS_OF)
def test_first_calls_of_two_threads_end(engine, count):
    """In fresh processes, each with a deadline."""
    if not is_installed(engine):
        pytest.skip(f'{engine} is not installed')
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run_first_calls, [engine] * count))


def test_forked_child_raises_an_error():
    """Instead of waiting for threads that do not exist there."""
    with inference.load(CHECKPOINT, engine='session') as predictor:
        predictor.logits(images(2))
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                with predictor:  # leaving it must not hang either
                    predictor.logits(images(2))
            except RuntimeError as error:
                os.write(writing, str(error).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            message = pipe.read()
        os.waitpid(child, 0)
        assert message.startswith(f'This predictor was loaded in process {os.getpid()}')
        assert message.endswith("load it after forking, or start processes with "
                                "multiprocessing's 'spawn' method.")
        assert predictor.logits(images(1)).shape == (1, 11)
