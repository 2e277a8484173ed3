"""Type checkers see the public API: mypy accepts correct calls and rejects wrong ones."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip('mypy')
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A line that must be rejected ends with a comment that is part of mypy's message.
USER_CODE = '''
    import inception_slim
    import inception_slim.inception_v3_arg_scope
    from inception_slim import checkpoint, evaluation, inception_v3, inference
    from inception_slim.nets import inception_v3 as module
    from inception_slim.training import train

    with inference.load('model.ckpt', precision='int8', engine='auto') as predictor:
        reveal_type(predictor)  # reveal: inception_slim.inference.predictor.Predictor
    inception_slim.inference.load('model.ckpt')
    reveal_type(inception_slim.__version__)  # reveal: str
    result = evaluation.classify('model.ckpt', ['cat.jpg'], top=3)
    reveal_type(result)  # reveal: Classification
    train('records', 'train_dir', steps=100)
    info, weights = checkpoint.read('model.ckpt')
    scope: dict[str, object] = inception_slim.inception_v3_arg_scope(weight_decay=0.0)
    logits, end_points = inception_v3(None, num_classes=5, is_training=False)
    module.inception_v3_base(None)
    inception_slim.trunc_normal(0.1)

    inference.load('model.ckpt', precison='int8')  # error: "precison"
    inference.load(precision=8)  # error: Missing positional argument
    evaluation.classify('model.ckpt', ['cat.jpg'], top='5')  # error: "top"
    inception_slim.inception_v3_arg_scope(weight_decay='none')  # error: "weight_decay"
    inception_slim.inception_v5  # error: "inception_v5"
    inception_v3(None, classes=5)  # error: "classes"
'''


@pytest.mark.slow
def test_mypy_checks_user_code(tmp_path):
    path = tmp_path / 'user_code.py'
    path.write_text(textwrap.dedent(USER_CODE))
    expected = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.search(r'# (?:error|reveal): (.*)', line)
        if found:
            expected[number] = found[1]
    # Installed packages are typed only if they have py.typed; a cache makes later runs fast.
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--strict', '--follow-imports=silent',
         '--ignore-missing-imports', '--allow-redefinition', '--no-error-summary',
         '--cache-dir', os.path.join(ROOT, '.mypy_cache', 'user_code'), str(path)],
        cwd=tmp_path, text=True, capture_output=True, env={**os.environ, 'MYPYPATH': ROOT})
    messages = {}
    for line in done.stdout.splitlines():
        number, message = re.search(r'user_code\.py:(\d+): (.*)', line).groups()
        messages.setdefault(int(number), []).append(message)
    assert messages.keys() == expected.keys(), done.stdout + done.stderr
    for number, text in expected.items():
        assert any(text in message for message in messages[number]), messages[number]
    assert os.path.exists(os.path.join(ROOT, 'inception_slim', 'py.typed'))
