"""The packages of research/slim: networks, preprocessing, datasets and deployment."""

import gzip
import importlib
import io
import pickle
import re
import tarfile
import textwrap

import fork_server
from golden.weights import drawings
from helpers import as_in_tensorflow_1, golden_arrays
import inception_slim
from inception_slim.errors import DatasetError
from inception_slim.legacy import research_slim
from inception_slim.legacy.research_slim.datasets import (
    dataset_factory,
    dataset_utils,
    download_and_convert_cifar10,
    download_and_convert_flowers,
    download_and_convert_mnist,
    imagenet,
)
from inception_slim.legacy.research_slim.deployment import model_deploy
from inception_slim.legacy.research_slim.nets import (
    inception,
    mobilenet_v1,
    nets_factory,
    resnet_v1,
    vgg,
)
from inception_slim.legacy.research_slim.preprocessing import (
    inception_preprocessing,
    preprocessing_factory,
    vgg_preprocessing,
)
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_keras
import tf_slim as slim


def test_every_module_can_be_imported():
    for name, path in research_slim.modules().items():
        assert importlib.import_module(path).__doc__, name
    assert {'nets', 'nets.nets_factory', 'deployment.model_deploy'} <= set(research_slim.modules())


class TestNets:

    @pytest.mark.parametrize('name', ['lenet', 'cifarnet', 'alexnet_v2', 'inception_v1'])
    def test_get_network_fn(self, graph, name):
        network_fn = nets_factory.get_network_fn(name, 7, weight_decay=0.1, is_training=True)
        side = network_fn.default_image_size
        images = tf.placeholder(tf.float32, (2, side, side, 1 if name == 'lenet' else 3))
        logits, end_points = network_fn(images)
        assert logits.shape == (2, 7)
        assert tf.losses.get_regularization_losses()
        assert end_points

    def test_every_network_has_an_arg_scope(self):
        assert set(nets_factory.networks_map) == set(nets_factory.arg_scopes_map)

    def test_rejects_unknown_network(self):
        with pytest.raises(ValueError, match='Name of network unknown resnet_v3'):
            nets_factory.get_network_fn('resnet_v3', 10)

    @pytest.mark.slow
    def test_argument_order_is_that_of_research_slim(self, graph):
        images = tf.placeholder(tf.float32, (1, 299, 299, 3))
        with slim.arg_scope(inception.inception_v3_arg_scope()):
            net, _ = inception.inception_v3_base(images, 'Mixed_5b', 4, 0.1)
            assert net.shape.as_list()[:3] == [1, 35, 35]
            logits, ends = inception.inception_v3(
                images, 5, False, 0.9, 4, 0.05, slim.softmax, False, None, False, 'Mine')
        assert logits.shape == (1, 1, 1, 5) and 'AuxLogits' not in ends
        assert slim.get_model_variables('Mine')
        with pytest.raises(TypeError, match='multiple values'):
            inception.inception_v3_base(images, 'Mixed_5b', final_endpoint='Mixed_5b')

    def test_vgg_has_the_variables_of_tf_slim(self, graph):
        images = tf.placeholder(tf.float32, (1, 224, 224, 3))
        with slim.arg_scope(vgg.vgg_arg_scope()):
            logits, end_points = vgg.vgg_16(images, 10)
        variables = {v.op.name: v.shape for v in slim.get_model_variables()}
        with tf.Graph().as_default():
            images = tf.placeholder(tf.float32, (1, 224, 224, 3))
            with slim.arg_scope(vgg.vgg_arg_scope()):
                _, expected = importlib.import_module('tf_slim.nets.vgg').vgg_16(images, 10)
            assert variables == {v.op.name: v.shape for v in slim.get_model_variables()}
        assert set(end_points) == set(expected) and logits.shape == (1, 10)
        assert end_points['vgg_16/conv5/conv5_3'].op.type == 'Relu'
        assert end_points['vgg_16/fc7'].shape == (1, 1, 1, 4096)

    def test_spatial_squeeze_of_resnets(self, graph):
        images = tf.placeholder(tf.float32, (2, 64, 64, 3))
        blocks = [resnet_v1.resnet_v1_block('block1', base_depth=4, num_units=1, stride=2)]
        with slim.arg_scope(resnet_v1.resnet_arg_scope()):
            unsqueezed, _ = resnet_v1.resnet_v1(
                images, blocks, 4, spatial_squeeze=False, scope='unsqueezed')
            logits, ends = resnet_v1.resnet_v1(images, blocks, 4, scope='squeezed')
            features, _ = resnet_v1.resnet_v1(images, blocks, scope='features')
        assert unsqueezed.shape == (2, 1, 1, 4) and features.shape == (2, 1, 1, 16)
        assert logits.shape == ends['predictions'].shape == (2, 4)
        assert ends['squeezed/spatial_squeeze'] is logits
        assert nets_factory.networks_map['resnet_v1_50'].default_image_size == 224


class TestMobileNet:

    @pytest.mark.slow
    def test_outputs_are_those_of_keras(self, graph):
        """Keras holds its weights in the same order, and pads as SAME does for even sizes."""
        with tf.Graph().as_default(), tf.Session().as_default():
            keras = tf_keras.applications.MobileNet(
                weights=None, alpha=0.25, input_shape=(96, 96, 3), classes=7)
            shapes = [weight.shape.as_list() for weight in keras.weights]
            random = np.random.RandomState(3)
            values = [np.abs(random.normal(1, 0.2, shape)) if len(shape) == 1 else
                      random.normal(0, (2 / np.prod(shape[:3])) ** 0.5, shape)
                      for shape in shapes]
            keras.set_weights(values)
            image = random.uniform(-1, 1, (2, 96, 96, 3))
            expected = tf.get_default_session().run(keras(tf.constant(image, tf.float32)))
        images = tf.placeholder(tf.float32, (2, 96, 96, 3))
        with slim.arg_scope(mobilenet_v1.mobilenet_v1_arg_scope(is_training=False)):
            _, ends = mobilenet_v1.mobilenet_v1(images, 7, is_training=False, global_pool=True,
                                                depth_multiplier=0.25)
        variables = tf.global_variables()
        assert [variable.shape.as_list() for variable in variables] == shapes
        with tf.Session() as session:
            for variable, value in zip(variables, values):
                variable.load(value, session)
            np.testing.assert_allclose(session.run(ends['Predictions'], {images: image}), expected,
                                       atol=1e-6)

    def test_size_is_that_of_the_paper(self, graph):
        """Howard et al., 2017, table 8: 4.2 million parameters, with 1,000 classes."""
        network_fn = nets_factory.get_network_fn('mobilenet_v1', 1000)
        logits, ends = network_fn(tf.placeholder(tf.float32, (1, 224, 224, 3)))
        assert sum(variable.shape.num_elements()
                   for variable in tf.trainable_variables()) == 4_231_976
        assert ends['Conv2d_13_pointwise'].shape == (1, 7, 7, 1024)
        assert logits.op.name == 'MobilenetV1/Logits/SpatialSqueeze'
        assert tf.trainable_variables()[-2].op.name == 'MobilenetV1/Logits/Conv2d_1c_1x1/weights'

    @pytest.mark.parametrize('padding', [False, True])
    def test_output_stride(self, graph, padding):
        images = tf.placeholder(tf.float32, (1, 64, 64, 3))
        net, ends = mobilenet_v1.mobilenet_v1_base(images, output_stride=8, depth_multiplier=0.25,
                                                   use_explicit_padding=padding)
        assert net.shape == (1, 8, 8, 256)
        assert ends['Conv2d_13_depthwise'].shape == (1, 8, 8, 256)
        with pytest.raises(ValueError, match='output_stride must be'):
            mobilenet_v1.mobilenet_v1_base(images, output_stride=4)
        with pytest.raises(ValueError, match='final_endpoint must be one of Conv2d_0, '):
            mobilenet_v1.mobilenet_v1_base(images, 'Conv2d_14')


MISSING = '''
    from nets import nasnet as package, s3dg
    from nets.nasnet import pnasnet
    from nets.mobilenet.mobilenet_v2 import mobilenet
    import datasets.build_imagenet_data
    import nets.lenet
    print(nets.lenet.lenet.__name__)
    for use in (lambda: package.build, lambda: pnasnet.build(), lambda: mobilenet(1),
                lambda: s3dg.x, lambda: datasets.build_imagenet_data.main(), lambda: nets.other):
        try:
            use()
        except Exception as error:
            print(error)
    from nets.lenet import other
    '''


@pytest.mark.slow
def test_modules_that_are_not_here_are_named_where_they_are_used(tmp_path):
    (tmp_path / 'script.py').write_text(textwrap.dedent(MISSING))
    process = fork_server.module('inception_slim', 'run', 'script.py', folder=tmp_path)
    lines = process.stdout.splitlines()
    assert lines[0] == 'lenet'
    assert [line.split(' of research/slim is not supported; copy the folder ')
            for line in lines[1:]] == [
        [name, f'{name.partition(".")[0]} of research/slim (tensorflow/models) beside the script.']
        for name in ('nets.nasnet', 'nets.nasnet.pnasnet', 'nets.mobilenet.mobilenet_v2',
                     'nets.s3dg', 'datasets.build_imagenet_data', 'nets.other')]
    assert process.returncode == 1 and "cannot import name 'other'" in process.stderr


class TestPreprocessing:

    @pytest.mark.parametrize('name', list(drawings()))
    def test_evaluation_matches_tensorflow_1_15(self, graph, name):
        golden = golden_arrays('preprocessing')
        fn = preprocessing_factory.get_preprocessing('inception_v3', is_training=False)
        for side in (299, 224):
            image = tf.placeholder(tf.uint8, (None, None, 3))
            with tf.Session() as session:
                result = session.run(fn(image, side, side), {image: drawings()[name]})
            np.testing.assert_allclose(result[3::13, 3::13],
                                       golden[f'{name}_{side}_dynamic'], atol=1e-6)

    @pytest.mark.parametrize('fast', [True, False])
    def test_training_images_vary_within_bounds(self, fast):
        with tf.Graph().as_default(), as_in_tensorflow_1():
            tf.set_random_seed(2)
            image = tf.constant(drawings()['wide'])
            result = inception_preprocessing.preprocess_image(
                image, 40, 50, is_training=True, fast_mode=fast)
            assert result.shape == (40, 50, 3)
            assert len(tf.get_collection(tf.GraphKeys.SUMMARIES)) == 4
            with tf.Session() as session:
                images = np.stack([session.run(result) for _ in range(30)])
                session.run(tf.summary.merge_all())
        assert images.min() >= -1 and images.max() <= 1
        assert len({image.tobytes() for image in images}) == 30

    def test_random_selector_draws_every_case(self):
        with tf.Graph().as_default(), as_in_tensorflow_1(), tf.Session() as session:
            tf.set_random_seed(1)
            selected = inception_preprocessing.apply_with_random_selector(
                tf.constant(10), lambda x, case: x + case, 4)
            assert {session.run(selected) for _ in range(60)} == {10, 11, 12, 13}

    def test_orders_of_color_distortions(self):
        with tf.Graph().as_default():
            image = tf.placeholder(tf.float32, (4, 4, 3))
            for ordering, order in enumerate((
                    'brightness saturation hue contrast', 'saturation brightness contrast hue',
                    'contrast hue brightness saturation', 'hue saturation contrast brightness')):
                before = len(tf.get_default_graph().get_operations())
                inception_preprocessing.distort_color(image, ordering, fast_mode=False)
                names = [re.search('adjust_([a-z]+)', op.name)
                         for op in tf.get_default_graph().get_operations()[before:]]
                ops = dict.fromkeys(name[1] for name in names if name)
                assert ' '.join(ops) == order
            with pytest.raises(ValueError, match='color_ordering must be in'):
                inception_preprocessing.distort_color(image, 4, fast_mode=False)

    def test_crop_covers_the_bounding_box(self):
        with tf.Graph().as_default(), tf.Session() as session:
            image = tf.constant(drawings()['wide'])
            _, box = inception_preprocessing.distorted_bounding_box_crop(
                image, tf.constant([[[0.4, 0.4, 0.6, 0.6]]]), min_object_covered=1.0,
                area_range=(0.2, 0.9))
            for _ in range(20):
                (top, left, bottom, right), = session.run(box)[0]
                assert top <= 0.41 and left <= 0.41 and bottom >= 0.59 and right >= 0.59

    def test_vgg_subtracts_means_and_resizes(self):
        image = np.full((300, 200, 3), 128, np.uint8)
        with tf.Graph().as_default(), tf.Session() as session:
            result = session.run(preprocessing_factory.get_preprocessing('vgg_16')(
                tf.constant(image), 224, 224))
            np.testing.assert_allclose(result[0, 0], 128 - np.array([123.68, 116.78, 103.94]),
                                       rtol=1e-5)
            assert result.shape == (224, 224, 3)
            training = vgg_preprocessing.preprocess_image(tf.constant(image), 96, 96, True, 100,
                                                          110)
            assert session.run(training).shape == (96, 96, 3)

    def test_cifarnet_and_lenet(self):
        image = np.random.RandomState(0).randint(0, 255, (30, 34, 3)).astype(np.uint8)
        with tf.Graph().as_default(), tf.Session() as session:
            for training in (False, True):
                result = session.run(preprocessing_factory.get_preprocessing(
                    'cifarnet', training)(tf.constant(image), 32, 32))
                assert abs(result.mean()) < 1e-4 and abs(result.std() - 1) < 1e-3
            digit = preprocessing_factory.get_preprocessing('lenet')(
                tf.constant(image[:, :, :1]), 28, 28)
            np.testing.assert_allclose(
                session.run(digit), image[1:29, 3:31, :1].astype(np.float32) / 128 - 1)

    def test_rejects_unknown_name(self):
        with pytest.raises(ValueError, match=r'Preprocessing name \[x\] was not recognized'):
            preprocessing_factory.get_preprocessing('x')


def read_split(folder, name, split):
    """The images and labels of a split, in the order of the files."""
    with tf.Graph().as_default(), as_in_tensorflow_1():
        dataset = dataset_factory.get_dataset(name, split, str(folder))
    examples = []
    for path in sorted(folder.glob(dataset.data_sources.rpartition('/')[2])):
        for record in tf.python_io.tf_record_iterator(str(path)):
            feature = tf.train.Example.FromString(record).features.feature
            examples.append((feature['image/encoded'].bytes_list.value[0],
                             feature['image/class/label'].int64_list.value[0]))
    return examples, dataset.labels_to_names


class TestConverters:

    def test_mnist(self, tmp_path, capsys):
        pixels = np.random.RandomState(0).randint(0, 256, (5, 28, 28)).astype(np.uint8)
        for prefix, count in (('train', 5), ('t10k', 2)):
            for kind, header, data in (
                    ('images-idx3', [2051, count, 28, 28], pixels[:count]),
                    ('labels-idx1', [2049, count], np.arange(count, dtype=np.uint8))):
                with gzip.open(tmp_path / f'{prefix}-{kind}-ubyte.gz', 'wb') as file:
                    file.write(np.array(header, '>i4').tobytes() + data.tobytes())
        download_and_convert_mnist.run(str(tmp_path))
        examples, names = read_split(tmp_path, 'mnist', 'train')
        assert [label for _, label in examples] == [0, 1, 2, 3, 4]
        for (encoded, _), image in zip(examples, pixels):
            np.testing.assert_array_equal(tf.io.decode_png(encoded)[:, :, 0], image)
        assert len(read_split(tmp_path, 'mnist', 'test')[0]) == 2 and names[9] == 'nine'
        assert 'Finished converting' in capsys.readouterr().out
        download_and_convert_mnist.run(str(tmp_path))
        assert 'already exist' in capsys.readouterr().out

    @pytest.mark.parametrize('packed', [True, False])
    def test_flowers(self, tmp_path, packed):
        jpegs = [tf.io.encode_jpeg(np.full((4, 6, 3), value, np.uint8)).numpy()
                 for value in (10, 200)]
        folder = tmp_path / 'flower_photos'
        for number in range(360):
            path = folder / ('daisy', 'rose')[number % 2] / f'{number}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpegs[number % 2])
        (folder / 'LICENSE.txt').write_text('')
        if packed:
            with tarfile.open(tmp_path / 'flower_photos.tgz', 'w:gz') as archive:
                archive.add(folder, 'flower_photos')
            folder.rename(tmp_path / 'elsewhere')
        download_and_convert_flowers.run(str(tmp_path))
        training, names = read_split(tmp_path, 'flowers', 'train')
        validation, _ = read_split(tmp_path, 'flowers', 'validation')
        assert (len(training), len(validation)) == (10, 350)
        assert names == {0: 'daisy', 1: 'rose'}
        assert all(jpegs[label] == encoded for encoded, label in training + validation)
        assert len({label for _, label in validation[:20]}) == 2  # shuffled
        assert len(list(tmp_path.glob('flowers_*_0000?-of-00005.tfrecord'))) == 10

    @pytest.mark.parametrize('packed', [True, False])
    def test_cifar10(self, tmp_path, packed):
        folder = tmp_path / ('source' if packed else 'cifar-10-batches-py')
        folder.mkdir()
        images = np.random.RandomState(0).randint(0, 256, (2, 3, 32, 32)).astype(np.uint8)
        for name in (*(f'data_batch_{number}' for number in range(1, 6)), 'test_batch'):
            (folder / name).write_bytes(pickle.dumps(
                {b'data': images.reshape(2, -1), b'labels': [3, 9]}, protocol=2))
        if packed:
            with tarfile.open(tmp_path / 'cifar-10-python.tar.gz', 'w:gz') as archive:
                archive.add(folder, 'cifar-10-batches-py')
        download_and_convert_cifar10.run(str(tmp_path))
        examples, names = read_split(tmp_path, 'cifar10', 'train')
        assert [label for _, label in examples] == [3, 9] * 5 and names[3] == 'cat'
        np.testing.assert_array_equal(tf.io.decode_png(examples[1][0]),
                                      images[1].transpose(1, 2, 0))

    def test_nothing_is_written_of_damaged_files(self, tmp_path):
        folder = tmp_path / 'cifar-10-batches-py'
        folder.mkdir()
        (folder / 'data_batch_1').write_bytes(pickle.dumps({b'data': io.StringIO}))
        with pytest.raises(DatasetError, match='which is no array'):
            download_and_convert_cifar10.run(str(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ['cifar-10-batches-py']
        with pytest.raises(DatasetError, match=r'has no flower_photos or flower_photos.tgz; noth'):
            download_and_convert_flowers.run(str(tmp_path))

    def test_names_of_imagenet(self):
        names = imagenet.create_readable_names_for_imagenet_labels()
        assert len(names) == 1001 and names[0] == 'background'
        assert names[1] == 'tench, Tinca tinca' and names[1000].startswith('toilet tissue')


class TestDatasets:

    @pytest.mark.parametrize('name, file, side', [
        ('flowers', 'flowers_train_00000-of-00005.tfrecord', 20),
        ('cifar10', 'cifar10_train.tfrecord', 32), ('mnist', 'mnist_train.tfrecord', 28),
        ('imagenet', 'train-00000-of-01024', 20)])
    def test_reads_written_examples(self, tmp_path, name, file, side):
        channels = 1 if name == 'mnist' else 3
        pixels = np.arange(side * side * channels, dtype=np.int64) % 251
        pixels = pixels.astype(np.uint8).reshape(side, side, channels)
        png = tf.io.encode_png(pixels).numpy()
        with tf.python_io.TFRecordWriter(str(tmp_path / file)) as writer:
            for label in range(1, 5):
                writer.write(dataset_utils.image_to_tfexample(
                    png, 'png', side, side, label).SerializeToString())
        dataset_utils.write_label_file({1: 'one', 2: 'two: three'}, str(tmp_path))
        assert dataset_utils.has_labels(str(tmp_path))
        with tf.Graph().as_default(), as_in_tensorflow_1():
            dataset = dataset_factory.get_dataset(name, 'train', str(tmp_path))
            assert dataset.labels_to_names == {1: 'one', 2: 'two: three'}
            assert dataset.num_classes == (1001 if name == 'imagenet' else
                                           5 if name == 'flowers' else 10)
            provider = slim.dataset_data_provider.DatasetDataProvider(
                dataset, num_readers=1, shuffle=False)
            image, label = provider.get(['image', 'label'])
            with tf.Session() as session:
                session.run(tf.local_variables_initializer())
                with slim.queues.QueueRunners(session):
                    examples = [session.run([image, label]) for _ in range(4)]
        assert [int(label) for _, label in examples] == [1, 2, 3, 4]
        np.testing.assert_array_equal(examples[2][0], pixels)

    def test_bounding_boxes_of_imagenet(self, tmp_path):
        feature = {'image/class/text': dataset_utils.bytes_feature('tench')}
        for side, value in (('ymin', .1), ('xmin', .2), ('ymax', .3), ('xmax', .4)):
            feature[f'image/object/bbox/{side}'] = dataset_utils.float_feature([value, value])
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        with tf.Graph().as_default(), tf.Session() as session:
            decoder = dataset_factory.get_dataset('imagenet', 'train', str(tmp_path)).decoder
            text, boxes = session.run(decoder.decode(
                tf.constant(example.SerializeToString()), ['label_text', 'object/bbox']))
        assert text == b'tench'
        np.testing.assert_allclose(boxes, [[.1, .2, .3, .4]] * 2)

    def test_rejects_unknown_dataset_or_split(self):
        with pytest.raises(ValueError, match='Name of dataset unknown birds'):
            dataset_factory.get_dataset('birds', 'train', '/nowhere')
        for name in dataset_factory.datasets_map:
            with pytest.raises(ValueError, match='split name all was not recognized'):
                dataset_factory.get_dataset(name, 'all', '/nowhere')


class TestDeployment:

    @staticmethod
    def train(num_clones, images, labels, **kwargs):
        """Trains for three steps, with one batch per clone."""
        with tf.Graph().as_default(), as_in_tensorflow_1(), tf.Session(
                config=tf.ConfigProto(allow_soft_placement=True)) as session:
            shards = iter(zip(np.split(images, num_clones), np.split(labels, num_clones)))

            def model_fn(factor):
                inputs, targets = next(shards)
                with slim.arg_scope([slim.fully_connected],
                                    weights_regularizer=slim.l2_regularizer(0.1)):
                    net = slim.fully_connected(
                        tf.constant(inputs) * factor, 1, activation_fn=None,
                        weights_initializer=tf.constant_initializer(0.2))
                tf.losses.mean_squared_error(targets, net)
                tf.summary.scalar('mean', tf.reduce_mean(net))
                return net

            config = model_deploy.DeploymentConfig(num_clones=num_clones, clone_on_cpu=True)
            deployed = model_deploy.deploy(
                config, model_fn, kwargs={'factor': 2.0},
                optimizer=tf.train.MomentumOptimizer(0.05, 0.9), **kwargs)
            session.run(tf.global_variables_initializer())
            losses = [session.run(deployed.train_op) for _ in range(3)]
            session.run(deployed.summary_op)
            weights = session.run(slim.get_model_variables('fully_connected/weights')[0])
            step = session.run(slim.get_global_step())
            return losses, weights, deployed, step

    def test_two_clones_train_like_one_on_both_batches(self):
        random = np.random.RandomState(0)
        images = random.normal(size=(8, 3)).astype(np.float32)
        labels = random.normal(size=(8, 1)).astype(np.float32)
        losses_1, weights_1, one, _ = self.train(1, images, labels)
        losses_2, weights_2, two, step = self.train(2, images, labels, summarize_gradients=True)
        np.testing.assert_allclose(losses_2, losses_1, rtol=1e-5)
        np.testing.assert_allclose(weights_2, weights_1, rtol=1e-5)
        assert step == 3 and len(two.clones) == 2 and two.train_op.op.name == 'train_op'
        assert [clone.scope for clone in two.clones] == ['clone_0/', 'clone_1/']
        assert [clone.scope for clone in one.clones] == ['']
        assert two.clones[1].outputs.op.name.startswith('clone_1/fully_connected')
        assert two.clones[1].device == '/device:CPU:0'

    def test_without_an_optimizer(self):
        with tf.Graph().as_default():
            deployed = model_deploy.deploy(
                model_deploy.DeploymentConfig(), lambda: tf.losses.add_loss(tf.constant(2.0)))
            assert deployed.train_op is None and deployed.summary_op is not None
            with tf.Session() as session:
                assert session.run(deployed.total_loss) == 2.0

    def test_only_the_first_clone_updates_batch_norm(self):
        with tf.Graph().as_default(), as_in_tensorflow_1():
            config = model_deploy.DeploymentConfig(2, clone_on_cpu=True)

            def model_fn():
                net = slim.batch_norm(tf.ones((2, 3)))
                tf.losses.add_loss(tf.reduce_sum(net))

            model_deploy.deploy(config, model_fn, optimizer=tf.train.AdamOptimizer())
            assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 4
            assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS, 'clone_0/')) == 2
            assert len(slim.get_model_variables()) == 3

    def test_devices(self):
        config = model_deploy.DeploymentConfig()
        assert (config.clone_device(0), config.clone_scope(0), config.caching_device(),
                config.variables_device(), config.inputs_device(), config.optimizer_device()) == (
                    '', '', None, '/device:CPU:0', '/device:CPU:0', '/device:CPU:0')
        config = model_deploy.DeploymentConfig(
            num_clones=2, replica_id=1, num_replicas=2, num_ps_tasks=2, worker_job_name='w',
            ps_job_name='p')
        assert config.clone_device(1) == '/job:w/device:GPU:1'
        assert config.inputs_device() == config.optimizer_device() == '/job:w/device:CPU:0'
        with tf.Graph().as_default(), as_in_tensorflow_1(), tf.device(config.variables_device()):
            devices = [tf.DeviceSpec.from_string(tf.get_variable(name, [1]).device)
                       for name in 'abc']
        assert [(device.job, device.device_type, device.task) for device in devices] == [
            ('p', 'CPU', 0), ('p', 'CPU', 1), ('p', 'CPU', 0)]

    @pytest.mark.parametrize('arguments, message', [
        ({'num_replicas': 2}, 'num_ps_tasks must be positive'),
        ({'num_ps_tasks': 1, 'worker_job_name': ''}, 'Must specify worker_job_name'),
        ({'num_ps_tasks': 1, 'ps_job_name': ''}, 'Must specify ps_job_name'),
        ({'replica_id': 1}, 'replica_id must be less than num_replicas')])
    def test_rejects_invalid_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            model_deploy.DeploymentConfig(**arguments)
        with pytest.raises(ValueError, match='clone_index must be less'):
            model_deploy.DeploymentConfig().clone_device(1)


def test_networks_are_those_of_the_package():
    assert inception.inception_v3.__wrapped__ is inception_slim.inception_v3
