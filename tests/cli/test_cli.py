"""The command line: exit codes, messages, options that all commands share, `inspect`, `convert`."""

import argparse
import contextlib
import io
import json
import os
import re
import resource
import subprocess
import sys
from unittest import mock

import fork_server
from helpers import GOLDEN
from inception_slim import _tf_logging, checkpoint, cli, evaluation
from inception_slim.checkpoint.input_scaling import INPUT_SCALINGS
from inception_slim.checkpoint.options import INPUT_RANGES, PREWHITEN
from inception_slim.cli import arguments
from inception_slim.errors import DatasetError
from inception_slim.evaluation import generative
from inception_slim.evaluation.options import RESIZES, EvaluationOptions
from inception_slim.inference import cpu_features
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

FIRST_RELEASE = os.path.join(GOLDEN, 'checkpoints', 'first_release', 'model.ckpt-157585')
GAMMA = os.path.join(GOLDEN, 'checkpoints', 'gamma', 'model.ckpt-157585')
SCRIPTS = os.path.join(GOLDEN, 'legacy_scripts')
IMAGES = os.path.join(SCRIPTS, 'images')
COMMANDS = ('inspect convert download example classify features evaluate metrics fid '
            'inception-score fid-statistics bulk train retrain export run').split()


@pytest.fixture
def call(capsys):
    """Runs a command in this process; returns its exit code, output and messages."""
    def call(*argv):
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in argv])
        except SystemExit as error:
            code = error.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err
    return call


def real_process(*argv, **streams):
    """`inception-slim` as a user starts it; not forked from a process with TensorFlow."""
    environment = {key: value for key, value in os.environ.items() if key != 'TF_CPP_MIN_LOG_LEVEL'}
    return subprocess.run([sys.executable, '-m', 'inception_slim', *argv], env=environment,
                          text=True, **(streams or {'capture_output': True}))


class TestStart:

    @pytest.mark.slow
    def test_tensorflow_is_silent(self):
        done = real_process('inspect', FIRST_RELEASE)
        assert (done.returncode, done.stderr) == (0, '')
        for line in ('  network            Inception V3\n',
                     '  written as         V1 checkpoint at step 157585\n',
                     '  moving averages    yes\n'):
            assert line in done.stdout
        assert len(done.stdout.splitlines()) <= 30

    def test_parsing_does_not_import_tensorflow(self):
        code = '''
            import contextlib, io, sys
            from inception_slim import cli
            for argv in (['--help'], ['--version'], [], ['classify', '--help'], ['classify'],
                         ['train', 'a', '--train-dir', 'b', '--steps', 'x'], ['exprt']):
                with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()), \\
                        contextlib.redirect_stderr(io.StringIO()):
                    cli.main(argv)
            cli.parser().parse_args(['fid', 'a', 'b', 'c', '--kid'])
            heavy = {'tensorflow', 'tf_slim', 'numpy', 'shtab'} & set(sys.modules)
            assert not heavy, heavy
        '''
        code = '\n'.join(line[12:] for line in code.splitlines())
        done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, '')

    def test_import_is_not_interrupted_by_garbage_collection(self):
        code = '''
            import gc, sys
            from inception_slim import _tf_logging, cli
            import_tensorflow = _tf_logging.import_tensorflow_quietly
            during = []

            def counted():
                gc.callbacks.append(lambda phase, info: during.append(info))
                import_tensorflow()
                gc.callbacks.clear()

            _tf_logging.import_tensorflow_quietly = counted
            assert cli.main(['inspect', sys.argv[1]]) == 0
            assert not during and 'tensorflow' in sys.modules
            assert gc.isenabled() and gc.get_freeze_count() > 100_000
        '''
        code = '\n'.join(line[12:] for line in code.splitlines())
        done = subprocess.run([sys.executable, '-c', code, FIRST_RELEASE], text=True,
                              capture_output=True)
        assert (done.returncode, done.stderr) == (0, '')


class TestHelp:

    def test_no_arguments_print_the_help(self, call):
        code, out, err = call()
        assert (code, err) == (0, '')
        assert re.findall('^    ([a-z-]+)', out, re.MULTILINE) == COMMANDS

    @pytest.mark.parametrize('command', COMMANDS)
    def test_command(self, call, command):
        code, out, err = call(command, '--help')
        assert (code, err) == (0, '') and out.startswith(f'usage: inception-slim {command} ')

    def test_version(self, call):
        code, out, err = call('--version')
        assert (code, err) == (0, '')
        rows = dict(re.split('  +', line) for line in out.splitlines())
        assert rows['Python'] == sys.version.split()[0]
        assert rows['NumPy'] == np.__version__
        assert {'inception-slim', 'TensorFlow', 'tf-slim', 'OpenVINO', 'ONNX Runtime'} <= set(rows)

    @pytest.mark.parametrize('shell', ['bash', 'zsh', 'tcsh'])
    def test_completion(self, call, shell):
        import shtab
        code, out, err = call('--print-completion', shell)
        assert (code, err) == (0, '') and 'inception-slim' in out
        if shell != 'tcsh':  # for which shtab completes the first word only
            assert 'inception-score' in out and '--batch-size' in out
            assert shtab.FILE[shell] in out and shtab.DIRECTORY[shell] in out

    def test_checkpoint_is_the_first_argument(self):
        group, = [action for action in cli.parser()._actions
                  if isinstance(action, argparse._SubParsersAction)]
        others = {'inspect', 'convert', 'download', 'example', 'train', 'retrain', 'run'}
        for name in set(COMMANDS) - others:
            first = next(action for action in group.choices[name]._actions
                         if not action.option_strings)
            assert (first.dest, first.metavar) == ('checkpoint', 'CKPT')

    def test_choices_are_complete(self):
        """They are listed where no heavy module is imported."""
        assert INPUT_RANGES == (*INPUT_SCALINGS, PREWHITEN)
        assert RESIZES == tuple(generative.RESIZE_FUNCTIONS)

    def test_results_can_be_json(self):
        group, = [action for action in cli.parser()._actions
                  if isinstance(action, argparse._SubParsersAction)]
        assert {name for name, command in group.choices.items()
                if '--json' not in command._option_string_actions} == {'example', 'run'}


class TestBadUsage:

    @pytest.mark.parametrize('argv, message', [
        (['clasify'], 'did you mean classify?'),
        (['nothing'], 'choose from inspect, convert'),
        (['inspect'], 'required: CHECKPOINT'),
        (['convert', 'one'], 'required: DST'),
        (['classify', 'a', 'b', '--tpo', '2'], 'unrecognized option --tpo; did you mean --top?'),
        (['export', '--fromat', 'onnx'], 'did you mean --format?'),
        (['--verison'], 'did you mean --version?'),
        (['classify', 'a', 'b', '--precision', 'int9'], 'did you mean int8?'),
        (['classify', 'a', 'b', '--top', '0'], '--top: the value must be at least 1, but is 0'),
        (['classify', 'a', 'b', '--top', 'two'], "--top: invalid int value: 'two'"),
        (['train', 'a', '--train-dir', 'b', '--label-smoothing', '1'], 'less than 1, but is 1'),
        (['train', 'a', '--train-dir', 'b', '--worker', '2'], 'did you mean --workers?'),
        (['fid', 'a', '-', '-'], 'only one of FIRST and SECOND'),
        (['classify', '--quiet', '--verbose', 'a', 'b'], 'not allowed with'),
    ])
    def test_message(self, call, argv, message):
        code, out, err = call(*argv)
        assert (code, out) == (2, '') and message in err
        assert re.search(r'\nSee inception-slim( [a-z]+)? --help\n$', err)

    @pytest.mark.parametrize('command', ['classify', 'evaluate', 'fid'])
    def test_swapped_checkpoint_and_images(self, call, command, tmp_path):
        more = [IMAGES] if command == 'fid' else []
        code, out, err = call(command, IMAGES, FIRST_RELEASE, *more)
        assert (code, out) == (2, '') and 'swap them' in err

    def test_order_of_a_folder_with_both(self):
        """Its images do not make it less of a checkpoint."""
        names = argparse.Namespace(checkpoint=SCRIPTS, parser=cli.parser())
        arguments.check_order(names, [GAMMA])


class TestBadInput:

    @pytest.mark.parametrize('argv', [
        ['inspect', 'no/such/file'], ['inspect', __file__], ['classify', GAMMA, 'no/such.jpg'],
        ['classify', GAMMA, 'no/such/*.jpg'], ['classify', GAMMA, IMAGES, '--csv', 'no/such.csv']])
    def test_message(self, call, argv):
        code, out, err = call(*argv)
        assert (code, out) == (1, '')
        assert err.startswith('inception-slim: ') and len(err.splitlines()) == 1

    def test_control_characters_are_escaped(self, call, tmp_path):
        code, out, err = call('inspect', tmp_path / 'a\x1b[31m\nb\udcff')
        assert code == 1 and '\x1b' not in err and len(err.splitlines()) == 1
        assert 'a\\x1b[31m\\nb\\xff' in err

    def test_verbose_prints_the_traceback(self, call):
        code, out, err = call('inspect', 'no/such/file', '--verbose')
        assert code == 1 and err.startswith('Traceback') and 'inception-slim: ' in err


class TestMemory:

    @pytest.mark.parametrize('error', [
        MemoryError(), OSError(12, 'Cannot allocate memory', 'model.h5'),
        RuntimeError("can't start new thread"),
        tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor')])
    def test_exhausted(self, call, monkeypatch, error):
        def inspect(*arguments, **options):
            try:
                raise error
            except type(error):  # as in a library that reports it as an error of its own
                raise ValueError('no luck') from error

        for function in (inspect, mock.Mock(side_effect=error)):
            monkeypatch.setattr(checkpoint, 'inspect', function)
            assert call('inspect', FIRST_RELEASE) == (1, '', (
                'inception-slim: There is not enough memory; raise its limit (ulimit -v), or give '
                'a smaller --batch-size.\n'))

    def test_limit_of_the_address_space(self):
        """TensorFlow's libraries alone are larger."""
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (600 * 2**20, 600 * 2**20))

        done = subprocess.run([sys.executable, '-m', 'inception_slim', 'inspect', FIRST_RELEASE],
                              text=True, capture_output=True, preexec_fn=limit)
        assert done.returncode == 1 and 'Traceback' not in done.stderr
        assert 'inception-slim: There is not enough memory' in done.stderr


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
class TestOutput:

    @pytest.mark.parametrize('argv', [['--help'], ['inspect', FIRST_RELEASE]])
    @pytest.mark.slow
    def test_full(self, argv):
        with open('/dev/full', 'w') as full:
            done = real_process(*argv, stdout=full, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (1, (
            'inception-slim: The output cannot be written: No space left on device.\n'))

    def test_closed(self):
        done = subprocess.run(['sh', '-c', '"$0" -m inception_slim --version >&-', sys.executable],
                              text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (
            1, 'inception-slim: Standard output is closed.\n')

    def test_reader_that_left(self):
        done = subprocess.run(
            ['sh', '-c', '"$0" -c "$1" | true', sys.executable,
             'import time; from inception_slim import cli; time.sleep(.5); cli.main([])'],
            text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, '')


class TestImages:
    """`classify` as an example, without running a network."""

    @pytest.fixture
    def given(self, monkeypatch):
        given = {}

        def classify(checkpoint, images, **options):
            given.update(options, checkpoint=checkpoint, images=images)
            prediction = evaluation.Prediction('a\tb.jpg', [1, 0], ['one', 'two'], [0.75, 0.25])
            return evaluation.Classification([prediction], ['bad\x1b.jpg'], 'A warning.')

        monkeypatch.setattr(evaluation, 'classify', classify)
        return given

    def test_pattern(self, call, given, tmp_path):
        for name in ('b.jpg', 'a.jpg', 'c.png'):
            (tmp_path / name).touch()
        assert call('classify', 'model', tmp_path / '*.jpg')[0] == 0
        assert given['images'] == [f'{tmp_path}/a.jpg', f'{tmp_path}/b.jpg']

    def test_file_that_looks_like_a_pattern(self, call, given, tmp_path):
        (tmp_path / '[1].jpg').touch()
        assert call('classify', 'model', tmp_path / '[1].jpg')[0] == 0
        assert given['images'] == [f'{tmp_path}/[1].jpg']

    @pytest.mark.parametrize('text, names', [
        (b'one.jpg\ntwo words.jpg\n', ['one.jpg', 'two words.jpg']),
        (b'one.jpg\r\ntwo\r.jpg\r\n', ['one.jpg', 'two\r.jpg']),
        (b'one\n\xff.jpg\0two words.jpg\0', ['one\n\udcff.jpg', 'two words.jpg'])])
    def test_standard_input(self, call, given, monkeypatch, text, names):
        monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(text)))
        assert call('classify', 'model', '-', 'last.jpg')[0] == 0
        assert given['images'] == [*names, 'last.jpg']

    def test_empty_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(b'\n')))
        with pytest.raises(DatasetError, match='Standard input is empty'):
            arguments.expand_images(['-'])

    def test_options(self, call, given):
        options = ['--ema', '--precision', 'int8', '--top', '3']
        assert call('classify', 'model', 'a.jpg', *options)[0] == 0
        assert (given['use_ema'], given['precision'], given['top']) == (True, 'int8', 3)
        assert given['batch_size'] == EvaluationOptions().batch_size

    def test_text(self, call, given):
        code, out, err = call('classify', 'model', 'a.jpg')
        assert (code, out) == (0, 'a\\tb.jpg\n   75.00%  one\n   25.00%  two\n')
        assert err == 'A warning.\nSkipped unreadable images: 1\n  bad\\x1b.jpg\n'

    def test_quiet(self, call, given):
        for argv in (['--quiet', 'classify', 'model', 'a.jpg'],
                     ['classify', 'model', 'a.jpg', '--quiet']):
            code, out, err = call(*argv)
            assert (code, err) == (0, '') and 'one' in out

    def test_json(self, call, given):
        code, out, err = call('classify', 'model', 'a.jpg', '--json')
        assert code == 0 and 'Skipped' in err
        assert json.loads(out)['unreadable'] == ['bad\x1b.jpg']

    def test_csv(self, call, given, tmp_path):
        expected = ('image,rank,class,label,probability\n'
                    'a\tb.jpg,1,1,one,0.75\na\tb.jpg,2,0,two,0.25\n')
        assert call('classify', 'model', 'a.jpg', '--csv', '-')[:2] == (0, expected)
        path = tmp_path / 'out.csv'
        code, out, err = call('classify', 'model', 'a.jpg', '--csv', path)
        assert code == 0 and path.read_text() == expected and f'Wrote {path}, ' in out


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs named pipes')
def test_csv_to_a_pipe(tmp_path):
    """Which stays one: it is not replaced by a file."""
    os.mkfifo(tmp_path / 'pipe')
    with subprocess.Popen(['cat', tmp_path / 'pipe'], stdout=subprocess.PIPE, text=True) as reader:
        arguments.write_csv(str(tmp_path / 'pipe'), ['a', 'b'], [[1, 'x,y']])
        assert reader.stdout.read() == 'a,b\n1,"x,y"\n'
    assert (tmp_path / 'pipe').is_fifo()


def test_quiet_hides_progress(monkeypatch):
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    with contextlib.ExitStack() as stack:
        stack.enter_context(cli._output_settings(argparse.Namespace(quiet=True)))
        assert not sys.stderr.isatty()
    assert sys.stderr.isatty()


@pytest.mark.parametrize('path', [FIRST_RELEASE, GAMMA])
@pytest.mark.slow
def test_printed_code_loads_the_checkpoint(path):
    lines = fork_server.command('inspect', path).stdout.split('To load it:\n')[1]
    code = '\n'.join(line[4:] for line in lines.splitlines())
    done = fork_server.python(code + '\n    print(logits.shape)')
    assert done.returncode == 0, done.stderr
    assert done.stdout == '(None, 11)\n' or done.stdout == '(?, 11)\n'


def test_inspect_json(call):
    code, out, err = call('inspect', GAMMA, '--json')
    assert (code, err) == (0, '')
    info = json.loads(out)
    assert info['has_gammas'] is True and info['num_classes'] == 11
    assert info['depth_multiplier'] == 0.05


def test_convert(call, tmp_path):
    assert call('convert', FIRST_RELEASE, tmp_path / 'new', '--ema') == (
        0, f'Wrote {tmp_path}/new: Inception V3, 63,069 parameters\n', '')
    code, out, err = call('convert', FIRST_RELEASE, tmp_path / 'new')
    assert (code, out) == (1, '') and f'{tmp_path}/new exists' in err
    code, out, err = call('convert', FIRST_RELEASE, tmp_path / 'new', '--overwrite', '--json')
    assert code == 0 and json.loads(out)['num_classes'] == 11


def test_example(call, tmp_path):
    folder = tmp_path / 'example'
    for _ in range(2):  # a second time replaces the files
        code, out, err = call('example', folder)
        assert (code, err) == (0, '') and f'inception-slim inspect {folder}\n' in out
    code, out, err = call('classify', folder, folder / 'images', '--top', '1', '--json')
    assert code == 0
    predictions = json.loads(out)['predictions']
    right = [prediction['labels'][0] in prediction['name'] for prediction in predictions]
    assert len(right) == 6 and sum(right) >= 3


def record_at_import(monkeypatch, variable, given):
    """Sets a variable, or removes it; a list of its values when a command imports TensorFlow."""
    monkeypatch.setenv(variable, given or '')
    if given is None:
        monkeypatch.delenv(variable)
    values = []
    monkeypatch.setattr(_tf_logging, 'import_tensorflow_quietly',
                        lambda: values.append(os.environ.get(variable)))
    return values


@pytest.mark.parametrize('flags, given, expected', [
    ('avx avx2', None, '1'), ('avx avx2', '0', '0'), ('avx', None, None)])
def test_training_uses_onednn(monkeypatch, call, tmp_path, flags, given, expected):
    """TensorFlow reads the variable when a command imports it."""
    monkeypatch.setattr(cpu_features, '_flags', lambda: frozenset(flags.split()))
    imported = record_at_import(monkeypatch, 'TF_ENABLE_ONEDNN_OPTS', given)
    assert call('train', str(tmp_path / 'none'), '--train-dir', str(tmp_path / 'model'))[0] == 1
    assert imported == [expected]


@pytest.mark.parametrize('command, given, expected', [
    ('metrics', None, '1'), ('fid', None, '1'), ('fid', '0', '0'), ('classify', None, None)])
def test_metrics_use_the_system_allocator(monkeypatch, call, tmp_path, command, given, expected):
    """TensorFlow reads the variable when a command imports it."""
    imported = record_at_import(monkeypatch, 'TF_ONEDNN_USE_SYSTEM_ALLOCATOR', given)
    assert call(command, str(tmp_path / 'none'), str(tmp_path), str(tmp_path))[0] == 1
    assert imported == [expected]
