"""Typical uses of `tf.contrib`, which run with TensorFlow 1.15.5 and with this package.

`CASES` are functions of a `tf` that has `contrib`; they return arrays or texts by name.
"""

import json
import os
import tempfile

import numpy as np

CASES = []


def case(function):
    CASES.append(function)
    return function


def picture(shape=(2, 9, 11, 3), seed=0):
    return np.random.RandomState(seed).uniform(0, 1, shape).astype(np.float32)


def run(tf, tensors, feed=None):
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer(),
                     tf.tables_initializer()])
        return session.run(tensors, feed)


PROJECTIVE = [1.1, 0.2, -0.7, -0.1, 0.9, 1.3, 0.004, -0.002]


@case
def image(tf):
    images, contrib = tf.constant(picture()), tf.contrib.image
    angles = [0.3, -2.0]
    found = {
        'transforms_angles': contrib.angles_to_projective_transforms(angles, 9., 11.),
        'transforms_shifts': contrib.translations_to_projective_transforms([[1, 2], [-3, .5]]),
        'composed': contrib.compose_transforms(
            contrib.angles_to_projective_transforms(0.4, 9., 11.), [PROJECTIVE]),
        'matrices': contrib.flat_transforms_to_matrices(PROJECTIVE),
        'bytes': contrib.rotate(tf.constant((picture() * 255).astype(np.uint8)), 1.0),
        'flat': contrib.rotate(tf.constant(picture((7, 8))), 0.5, 'BILINEAR'),
        'one': contrib.translate(tf.constant(picture((7, 8, 3))), [1.5, -2], 'BILINEAR'),
        'any_size': contrib.rotate(
            tf.placeholder_with_default(picture(), (None, None, None, 3)), 0.7, 'BILINEAR'),
    }
    for way in ('NEAREST', 'BILINEAR'):
        found['rotated_' + way] = contrib.rotate(images, angles, interpolation=way)
        found['shifted_' + way] = contrib.translate(images, [[2.5, -1], [0, 3.25]], way)
        found['warped_' + way] = contrib.transform(images, PROJECTIVE, way, output_shape=[6, 14])
        for name in ('rotated_', 'shifted_', 'warped_'):
            value = found[name + way]
            weights = tf.constant(picture(value.shape.as_list(), seed=1))
            found['gradient_' + name + way], = tf.gradients(value * value * weights, images)
    found['inverse'] = contrib.matrices_to_flat_transforms(
        tf.linalg.inv(contrib.flat_transforms_to_matrices([PROJECTIVE])))
    return run(tf, found)


@case
def hparams(tf):
    make = tf.contrib.training.HParams

    def fresh():
        return make(rate=0.1, layers=[3, 4], name='relu', flag=False, steps=100)

    found = {'text': str(fresh()), 'repr': repr(fresh()),
             'json': fresh().to_json(sort_keys=True),
             'parsed': repr(fresh().parse('rate=1e-3, layers=[5 , 6],name=elu,flag=true,steps=7'))}
    for text in ('rate=3', 'flag=1', 'flag=False', 'layers=[]', 'name=', 'rate=x', 'flag=maybe',
                 'steps=1.5', 'steps=1,steps=2', 'layers=3', 'layers[0]=3', 'other=1', 'rate',
                 'layers[0]=[1]', 'rate=[1,2]', 'layers=[a]', '', 'layers[1]=1,layers[1]=2',
                 'layers=[1,2],layers[0]=3'):
        found['parse ' + text] = said(lambda text=text: repr(fresh().parse(text)))
    for name, value in (('rate', 2), ('rate', 'x'), ('flag', 1), ('steps', 1.5), ('steps', True),
                        ('layers', [1.0]), ('layers', 1), ('name', 3), ('name', [3]), ('no', 1)):
        found[f'set {name} {value!r}'] = said(
            lambda name=name, value=value: fresh().set_hparam(name, value) or 'set')
    found['values'] = json.dumps(fresh().override_from_dict({'rate': 5}).values(), sort_keys=True)
    found['has'] = str(['rate' in fresh(), 'other' in fresh(), fresh().get('rate', 1.0),
                        fresh().get('other', 4), said(lambda: fresh().get('rate', 'x'))])
    found['taken'] = said(lambda: fresh().add_hparam('rate', 1))
    found['json back'] = repr(fresh().parse_json('{"rate": 2.5, "layers": [9]}'))
    found['parse_values'] = str(sorted(tf.contrib.training.parse_values(
        'a=1,b[2]=3,c=[x y]', {'a': int, 'b': int, 'c': str}).items()))
    return found


def said(function):
    try:
        return function()
    except (ValueError, KeyError, TypeError) as error:
        return f'{type(error).__name__}: {error}'


@case
def optimizers(tf):
    contrib, found = tf.contrib.opt, {}
    makers = {
        'adamw': lambda: contrib.AdamWOptimizer(0.01, learning_rate=0.1),
        'momentumw': lambda: contrib.MomentumWOptimizer(0.02, 0.1, 0.9),
        'extended': lambda: contrib.extend_with_decoupled_weight_decay(
            tf.train.GradientDescentOptimizer)(weight_decay=0.03, learning_rate=0.1),
        'nadam': lambda: contrib.NadamOptimizer(0.1),
        'lazy': lambda: contrib.LazyAdamOptimizer(0.1),
        'averaged': lambda: contrib.MovingAverageOptimizer(
            tf.train.GradientDescentOptimizer(0.1), average_decay=0.5),
    }
    for name, make in sorted(makers.items()):
        for resource in (False, True):
            with tf.Graph().as_default(), tf.Session() as session:
                table = tf.get_variable('table', initializer=picture((4, 3)),
                                        use_resource=resource)
                dense = tf.get_variable('dense', initializer=picture((3, 2), 1),
                                        use_resource=resource)
                rows = table if name == 'nadam' else tf.gather(table, [1, 3])
                optimizer = make()
                # Linear, since 1.15.5 leaves open whether weights decay before gradients are had.
                loss = tf.reduce_sum(rows * picture(rows.shape.as_list(), 2)) - tf.reduce_sum(
                    dense * picture((3, 2), 3))
                if name == 'momentumw':
                    step = optimizer.apply_gradients(optimizer.compute_gradients(loss),
                                                     decay_var_list=[dense])
                elif name == 'adamw':
                    step = optimizer.minimize(loss, decay_var_list=[dense])
                else:
                    step = optimizer.minimize(loss)
                session.run(tf.global_variables_initializer())
                for _ in range(3):
                    session.run(step)
                key = f'{name}_{resource}'
                found[key + '_table'], found[key + '_dense'] = session.run([table, dense])
                found[key + '_names'] = ' '.join(sorted(
                    variable.op.name for variable in tf.global_variables()))
                if name == 'averaged':
                    with temporary() as folder:
                        path = optimizer.swapping_saver().save(session, folder + '/model')
                        reader = tf.train.NewCheckpointReader(path)
                        for each in sorted(reader.get_variable_to_shape_map()):
                            found[key + '_saved_' + each] = reader.get_tensor(each)
    clipped, norm = contrib.clip_gradients_by_global_norm([(tf.constant([30., 40.]), 'w')], 5.0)
    found['clipped'], found['norm'] = run(tf, [clipped[0][0], norm])
    return found


def temporary():
    return tempfile.TemporaryDirectory()


@case
def metrics(tf):
    contrib = tf.contrib.metrics
    random = np.random.RandomState(3)
    guesses, labels = random.randint(0, 3, 20), random.randint(0, 3, 20)
    scores = random.uniform(0, 1, (20, 3)).astype(np.float32)
    pairs = {
        'accuracy': contrib.streaming_accuracy(guesses, labels),
        'weighted': contrib.streaming_accuracy(guesses, labels, weights=np.arange(20.)),
        'mean': contrib.streaming_mean(scores),
        'recall_at_k': contrib.streaming_recall_at_k(scores, labels, 2),
        'sparse_recall': contrib.streaming_sparse_recall_at_k(
            scores, labels[:, None].astype(np.int64), 2),
        'auc': contrib.streaming_auc(scores[:, 0], labels > 1),
        'precision': contrib.streaming_precision(guesses > 1, labels > 1),
        'iou': contrib.streaming_mean_iou(tf.constant(guesses), tf.constant(labels), 3),
        'error': contrib.streaming_mean_squared_error(scores[:, 0], scores[:, 1]),
        'pearson': contrib.streaming_pearson_correlation(scores[:, 0], scores[:, 1]),
        'concat': contrib.streaming_concat(tf.constant(guesses)),
        'percentage': contrib.streaming_percentage_less(scores[:, 0], 0.5),
    }
    values, updates = contrib.aggregate_metric_map(pairs)
    names = ' '.join(variable.op.name for variable in tf.local_variables())
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        session.run(updates)
        session.run(updates)
        found = session.run(values)
    found.update(run(tf, {
        'plain': contrib.accuracy(tf.constant(guesses), tf.constant(labels)),
        'matrix': contrib.confusion_matrix(
            labels, guesses), 'size': contrib.set_size(tf.sparse.from_dense([[1, 2], [3, 0]]))}))
    found['names'] = names
    return found


@case
def losses(tf):
    contrib = tf.contrib.losses
    random = np.random.RandomState(5)
    logits = tf.constant(random.normal(size=(6, 4)).astype(np.float32))
    labels = tf.constant(np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 1, 1]])
    one = contrib.softmax_cross_entropy(logits, labels, weights=0.5, label_smoothing=0.1)
    two = contrib.sigmoid_cross_entropy(logits, labels, weights=tf.constant([[1.], [0.], [2.]] * 2))
    three = contrib.mean_squared_error(logits, labels)
    found = {'softmax': one, 'sigmoid': two, 'squared': three,
             'cosine': contrib.cosine_distance(logits, labels, dim=1),
             'total': contrib.get_total_loss(),
             'triplet': contrib.metric_learning.triplet_semihard_loss(
                 np.int32([0, 1, 0, 1, 0, 1]), tf.nn.l2_normalize(logits, 1)),
             'npairs': contrib.metric_learning.npairs_loss(
                 np.int32([0, 1, 2, 0, 1, 2]), logits, logits[::-1]),
             'flipped': tf.contrib.nn.deprecated_flipped_softmax_cross_entropy_with_logits(
                 logits, labels)}
    return run(tf, found)


@case
def layers(tf):
    contrib = tf.contrib.layers
    images = tf.constant(picture((2, 5, 5, 4)))
    tf.set_random_seed(7)
    with tf.contrib.framework.arg_scope(
            [contrib.conv2d], weights_initializer=tf.constant_initializer(0.1),
            weights_regularizer=contrib.l2_regularizer(0.3),
            normalizer_fn=contrib.batch_norm, normalizer_params={'is_training': True}):
        net = contrib.conv2d(images, 3, [3, 3], outputs_collections='outs', scope='conv')
    flat = contrib.flatten(contrib.max_pool2d(net, 2))
    found = {
        'conv': net, 'flat': flat,
        'dense': contrib.fully_connected(
            flat, 2, weights_initializer=tf.constant_initializer(0.05)),
        'normal': contrib.layer_norm(images), 'instance': contrib.instance_norm(images),
        'group': contrib.group_norm(images, groups=2), 'unit': contrib.unit_norm(images, 3),
        'hot': contrib.one_hot_encoding([1, 0, 2], 3),
        'spatial': contrib.spatial_softmax(images),
        'xavier': contrib.xavier_initializer(seed=1)([3, 4]),
        'scaling': contrib.variance_scaling_initializer(seed=2)([3, 4]),
        'l1_l2': contrib.l1_l2_regularizer(0.1, 0.2)(images),
        'applied': contrib.apply_regularization(contrib.l1_regularizer(0.5), [images]),
        'embedded': contrib.embed_sequence(
            [[0, 2], [1, 2]], 3, 2, initializer=tf.constant_initializer([1., 2, 3, 4, 5, 6])),
        'unique': contrib.embedding_lookup_unique(tf.constant(picture((4, 2))), [[3, 1], [3, 0]]),
    }
    names = {'names': ' '.join(variable.op.name for variable in tf.global_variables()),
             'losses': str(len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))),
             'outs': ' '.join(tensor.op.name for tensor in tf.get_collection('outs'))}
    return dict(run(tf, found), **names)


@case
def optimize_loss(tf):
    weights = tf.get_variable('weights', initializer=[3.0, -4.0])
    step = tf.train.get_or_create_global_step()
    train = tf.contrib.layers.optimize_loss(
        tf.reduce_sum(weights ** 2), step, learning_rate=0.1,
        optimizer=lambda rate: tf.train.MomentumOptimizer(rate, 0.9), clip_gradients=2.0,
        learning_rate_decay_fn=lambda rate, step: tf.train.exponential_decay(rate, step, 1, 0.5),
        summaries=['loss', 'learning_rate', 'gradients'])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = [session.run(train) for _ in range(3)]
        return {'losses': np.float32(values), 'weights': session.run(weights),
                'step': session.run(step), 'names': ' '.join(
                    variable.op.name for variable in tf.global_variables())}


@case
def training(tf):
    contrib, slim = tf.contrib.training, tf.contrib.slim
    weights = tf.get_variable('weights', initializer=[3.0, -4.0])
    tf.losses.add_loss(tf.reduce_sum(weights ** 2))
    total = tf.losses.get_total_loss()
    train = contrib.create_train_op(
        total, tf.train.GradientDescentOptimizer(0.1), summarize_gradients=True,
        transform_grads_fn=contrib.clip_gradient_norms_fn(2.0))
    with temporary() as folder:
        last = contrib.train(train, folder, hooks=[tf.train.StopAtStepHook(num_steps=4)],
                             save_summaries_steps=None, save_checkpoint_secs=3600)
        path = tf.train.latest_checkpoint(folder)
        found = {'last': last, 'weights': tf.contrib.framework.load_variable(path, 'weights'),
                 'names': str(tf.contrib.framework.list_variables(path))}
        with tf.Graph().as_default():
            weights = tf.get_variable('weights', [2])
            tf.train.get_or_create_global_step()
            value, update = slim.metrics.streaming_mean(weights)
            found['evaluated'] = contrib.evaluate_once(
                path, eval_ops=update, final_ops=value, hooks=[contrib.StopAfterNEvalsHook(2)])
        found['waited'] = str(contrib.wait_for_new_checkpoint(folder, timeout=1) == path)
        found['iterated'] = str([each == path for each in contrib.checkpoints_iterator(
            folder, timeout=0)])
    return found


@case
def framework(tf):
    contrib = tf.contrib.framework
    with tf.variable_scope('one'):
        a = tf.get_variable('weights', initializer=[1.0])
        b = contrib.model_variable('other', initializer=tf.constant([2.0]))
    contrib.get_or_create_global_step()

    @contrib.add_arg_scope
    def function(x, y=1):
        return x + y

    with contrib.arg_scope([function], y=5):
        scoped = function(1)
    texts = {
        'by_name': str([v.op.name for v in contrib.get_variables_by_name('weights')]),
        'by_suffix': str([v.op.name for v in contrib.get_variables_by_suffix('other')]),
        'model': str([v.op.name for v in contrib.get_model_variables()]),
        'restore': str([v.op.name for v in contrib.get_variables_to_restore(exclude=['one/o'])]),
        'scoped': str(scoped), 'tensor': str([contrib.is_tensor(a), contrib.is_tensor(1)]),
        'nest': str(contrib.nest.flatten({'b': [1, 2], 'a': (3,)})),
        'sequence': str([contrib.nest.is_sequence([1]), contrib.nest.is_sequence('ab')]),
        'scope': contrib.strip_name_scope('a/b', 'a') + contrib.prepend_name_scope('b', 'a'),
    }
    with temporary() as folder, tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(session, os.path.join(folder, 'model'))
        session.run([a.assign([7.0]), b.assign([8.0])])
        contrib.assign_from_checkpoint_fn(path, [a])(session)
        op, feed = contrib.assign_from_checkpoint(path, {'one/weights': b})
        session.run(op, feed)
        texts['restored'] = str([session.run(a).tolist(), session.run(b).tolist()])
        texts['listed'] = str(contrib.list_variables(path))
        texts['loaded'] = str(contrib.load_checkpoint(path).get_tensor('one/other').tolist())
    placed = tf.placeholder(tf.float32, name='placed')
    texts['placeholders'] = str([each.op.name for each in contrib.get_placeholders(placed.graph)])
    found = run(tf, {'sorted': contrib.sort([3, 1, 2], direction='DESCENDING'),
                     'places': contrib.argsort([3, 1, 2]), 'sum': contrib.reduce_sum_n(
                         [tf.constant([1., 2.]), tf.constant(3.)]),
                     'either': contrib.smart_cond(True, lambda: tf.constant(1),
                                                  lambda: tf.constant(2))})
    texts['constant'] = str(contrib.smart_constant_value(tf.constant(True)))
    texts['util'] = str(tf.contrib.util.constant_value(tf.constant([1, 2])))
    return dict(found, **texts)


def elements(tf, dataset):
    following = tf.data.make_one_shot_iterator(dataset).get_next()
    found = []
    with tf.Session() as session:
        while True:
            try:
                found.append(np.asarray(session.run(following)).tolist())
            except tf.errors.OutOfRangeError:
                return str(found)


@case
def data(tf):
    contrib, numbers = tf.contrib.data, tf.data.Dataset.range(10)
    doubled = numbers.map(lambda x: x * 2)
    apply = {
        'batched': contrib.batch_and_drop_remainder(4),
        'sliding': contrib.sliding_window_batch(3, window_shift=2),
        'stepping': contrib.sliding_window_batch(3, stride=4, window_stride=2),
        'mapped': contrib.map_and_batch(lambda x: x + 1, 4, drop_remainder=True),
        'interleaved': contrib.parallel_interleave(
            lambda x: tf.data.Dataset.from_tensors(x).repeat(2), cycle_length=2),
        'enumerated': contrib.enumerate_dataset(5), 'unique': contrib.unique(),
        'scanned': contrib.scan(tf.constant(0, tf.int64), lambda s, x: (s + x, s)),
        'grouped': contrib.group_by_window(lambda x: x % 2, lambda k, d: d.batch(5), 5),
        'shuffled_once': contrib.shuffle_and_repeat(1, 2), 'shaped': contrib.assert_element_shape(
            tf.TensorShape([])),
    }
    found = {name: elements(tf, numbers.apply(each)) for name, each in apply.items()}
    found['unbatched'] = elements(tf, doubled.batch(4).apply(contrib.unbatch()))
    found['ignored'] = elements(tf, numbers.map(
        lambda x: tf.debugging.check_numerics(1 / tf.cast(x - 3, tf.float32), 'no')).apply(
            contrib.ignore_errors()))
    padded = numbers.map(lambda x: tf.fill([tf.cast(x % 3, tf.int32)], x))
    found['padded'] = elements(tf, padded.apply(contrib.padded_batch_and_drop_remainder(4, [None])))
    found['counted'] = elements(tf, contrib.Counter(3, 2).take(3))
    found['pairs'] = elements(tf, tf.data.Dataset.zip((numbers, doubled)).apply(
        contrib.sliding_window_batch(4, window_shift=4)))
    return found


@case
def lookup(tf):
    contrib = tf.contrib.lookup
    table = contrib.index_table_from_tensor(mapping=['a', 'b'], num_oov_buckets=1)
    back = contrib.index_to_string_table_from_tensor(mapping=['a', 'b'], default_value='?')
    hashed = contrib.HashTable(contrib.KeyValueTensorInitializer(['x', 'y'], [4, 5]), -1)
    with temporary() as folder:
        path = os.path.join(folder, 'words')
        with open(path, 'w') as file:
            file.write('one\ntwo\n')
        filed = contrib.index_table_from_file(vocabulary_file=path, default_value=9)
        found = run(tf, {
            'index': table.lookup(tf.constant(['b', 'a', 'z'])),
            'string': back.lookup(tf.constant([1, 5], tf.int64)),
            'hashed': hashed.lookup(tf.constant(['y', 'q'])),
            'filed': filed.lookup(tf.constant(['two', 'ten'])),
            'at_once': contrib.string_to_index(tf.constant(['b', 'c']), ['a', 'b'])})
    found['string'] = str([each.decode() for each in found['string']])
    return found


@case
def recurrent(tf):
    contrib = tf.contrib.rnn
    images = tf.constant(picture((2, 3, 4)))
    with tf.variable_scope('net', initializer=tf.constant_initializer(0.1)):
        cell = contrib.MultiRNNCell([contrib.BasicLSTMCell(3), contrib.LSTMCell(2),
                                     contrib.GRUCell(2)])
        outputs, _ = tf.nn.dynamic_rnn(
            contrib.DropoutWrapper(cell, output_keep_prob=1.0), images, dtype=tf.float32)
        steps, _ = contrib.static_rnn(contrib.BasicRNNCell(3), tf.unstack(images, axis=1),
                                      dtype=tf.float32)
    found = run(tf, {'dynamic': outputs, 'static': tf.stack(steps),
                     'transposed': contrib.transpose_batch_time(images)})
    found['names'] = ' '.join(variable.op.name for variable in tf.global_variables())
    return found


@case
def predictor(tf):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'model')
        with tf.Graph().as_default(), tf.Session() as session:
            x = tf.placeholder(tf.float32, [None], name='x')
            tf.saved_model.simple_save(session, path, {'x': x}, {'y': 2 * x + 1})
        predict = tf.contrib.predictor.from_saved_model(path)
        texts = {'wrong': said(lambda: predict({'z': 1})),
                 'feeds': str(sorted(predict.feed_tensors))}
        return dict(predict({'x': [1.0, 2.0]}), **texts)


@case
def inception(tf):
    """The initializers and collections of the arg scope."""
    nets = tf.contrib.slim.nets.inception
    with tf.contrib.slim.arg_scope(nets.inception_v3_arg_scope(batch_norm_decay=0.9)):
        net, ends = nets.inception_v3_base(tf.constant(picture((1, 75, 75, 3))), 'Mixed_5b', 4, 0.1)
    averages = tf.get_collection('moving_vars')
    kernel = next(v for v in tf.global_variables() if v.op.name.endswith('Conv2d_4a_3x3/weights'))
    spread = kernel.initializer.inputs[1].op
    while spread.type != 'TruncatedNormal':
        spread = spread.inputs[0].op
    scale = next(op for op in spread.outputs[0].consumers() if op.type == 'Mul').inputs[1]
    return {'ends': ' '.join(ends), 'shape': str(net.shape.as_list()),
            'names': ' '.join(v.op.name for v in tf.global_variables()),
            'averages': ' '.join(v.op.name for v in averages),
            'stddev': run(tf, scale),
            'losses': str(len(tf.losses.get_regularization_losses())),
            'updates': str(len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)))}
