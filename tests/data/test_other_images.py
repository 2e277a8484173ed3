"""Images in formats that are not read are counted and named, and .jfif is JPEG."""

from helpers import messages
from inception_slim import data
from PIL import Image
import pytest


@pytest.fixture
def folder(tmp_path):
    for name in ('daisy/1.jfif', 'daisy/2.ppm', 'daisy/deep/3.ICO', 'rose/4.png', 'rose/5.ppm'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 9)).save(path, 'JPEG' if name.endswith('jfif') else None)
    (tmp_path / 'notes.txt').write_text('not an image')
    return tmp_path


def test_folder(folder):
    with pytest.warns(UserWarning, match=r'left out: 1 \.ico, 2 \.ppm\. Convert them'):
        files = data.image_files(folder)
    assert [file.rsplit('/', 1)[1] for file in files] == ['1.jfif', '4.png']
    batch = next(data.as_numpy_batches(lambda: data.image_batches(files, 2, image_size=20)))
    assert batch['image'].shape == (2, 20, 20, 3)


def test_class_folders(folder):
    with pytest.warns(UserWarning) as warned:
        assert data.open_dataset(folder).num_examples == 2
    assert len(messages(warned)) == 2
    assert all('left out: 1 .ppm.' in message for message in messages(warned))
