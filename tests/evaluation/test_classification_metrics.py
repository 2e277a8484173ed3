"""Metrics of a classifier, compared with published values, scikit-learn and hand calculations."""

from inception_slim.evaluation.classification_metrics import (
    CURVE_POINTS,
    class_curves,
    class_probabilities,
    classes_to_show,
    confused_pairs,
    difference_interval,
    per_class_metrics,
    reliability,
    wilson_interval,
)
import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)


class TestClassificationMetrics:

    @pytest.mark.parametrize('correct, total, low, high', [
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718)])
    def test_wilson_interval_equals_published(self, correct, total, low, high):
        """R. G. Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I.

        Its method 3 is Wilson's, without correction.
        """
        assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)
        # The interval of the complement.
        other = wilson_interval(total - correct, total)
        assert other == pytest.approx((1 - high, 1 - low), abs=5e-5)

    def test_wilson_interval_at_0_and_1(self):
        assert wilson_interval(0, 0) == (0, 1)
        assert wilson_interval(0, 7)[0] == 0 and wilson_interval(7, 7)[1] == 1

    @pytest.mark.parametrize('counts, low, high', [
        ((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062), ((5, 56, 0, 29), -0.0381, 0.1926)])
    def test_difference_interval_equals_published(self, counts, low, high):
        """R. G. Newcombe, Interval estimation for the difference, 1998, table II, method 10."""
        assert difference_interval(*counts) == pytest.approx((low, high), abs=5e-5)

    def test_curves_equal_scikit_learn(self):
        rng = np.random.RandomState(0)
        labels = rng.randint(0, 5, 400)
        labels[labels == 3] = 4  # a class without images
        scores = np.round(rng.rand(400, 5) + 0.4 * np.eye(5)[labels], 2)  # with equal ones
        found = class_curves(labels, scores)
        points = np.linspace(0, 1, CURVE_POINTS)
        for label in (0, 1, 2, 4):
            positive, score = labels == label, scores[:, label]
            assert found.average_precision[label] == pytest.approx(
                average_precision_score(positive, score))
            assert found.auc[label] == pytest.approx(roc_auc_score(positive, score))
            false_rates, true_rates, _ = roc_curve(positive, score, drop_intermediate=False)
            assert found.true_positives[label] == pytest.approx(
                [true_rates[false_rates <= point].max() for point in points])
            precision, recall, _ = precision_recall_curve(positive, score)
            # The highest threshold that reaches a recall; scikit-learn's thresholds ascend.
            reached = [np.flatnonzero(recall[:-1] >= point)[-1] for point in points]
            assert found.precision[label] == pytest.approx(precision[reached])
        assert all(np.isnan(values[3]).all() for values in (
            found.average_precision, found.auc, found.precision, found.true_positives))

    def test_curves_by_hand(self):
        """The images in order of the score: right, wrong, right and wrong with equal scores."""
        found = class_curves(np.array([0, 1, 0, 1]), np.array(
            [[0.9, 0.8, 0.5, 0.5], [0.1, 0.2, 0.5, 0.5]]).T)
        assert found.average_precision[0] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 4)
        assert found.auc[0] == pytest.approx(1 / 2 * 1 / 2 + 1 / 2 * 3 / 4)

    def test_probabilities(self):
        """Each class of a multi-label network has a probability of its own."""
        logits = np.float32([[2, 1], [-300, -400]])
        np.testing.assert_allclose(class_probabilities(logits, 'sigmoid').max(axis=1),
                                   [1 / (1 + np.exp(-2)), np.exp(-300)])
        np.testing.assert_allclose(class_probabilities(logits)[0], [1 / (1 + np.exp(-1)),
                                                                  1 / (1 + np.exp(1))])
        np.testing.assert_array_equal(class_probabilities(np.array([[0, -np.inf]])), [[1, 0]])

    def test_per_class_metrics_equal_scikit_learn(self):
        rng = np.random.RandomState(0)
        labels, predictions = rng.randint(0, 6, 300), rng.randint(0, 7, 300)
        labels[labels == 4] = 3  # a class without images
        predictions[predictions == 2] = 1  # one that is never predicted
        labels[labels == 5], predictions[predictions == 5] = 0, 6  # neither; 6 is no class
        confusion = np.zeros((6, 7), int)
        np.add.at(confusion, (labels, predictions), 1)
        found = per_class_metrics(confusion)
        expected = precision_recall_fscore_support(labels, predictions, labels=range(6),
                                                 zero_division=np.nan)
        np.testing.assert_allclose((found.precision, found.recall, found.f1, found.images),
                                   expected)
        assert found.correct.sum() == (labels == predictions).sum()
        assert np.isnan(found.f1[5]) and np.isnan(found.precision[2]) and np.isnan(found.recall[4])

    def test_reliability(self):
        """By hand, with ten bins."""
        found = reliability(np.array([0.91, 0.99, 0.5, 0.54, 0.56, 0.6, 0.0, 0.1]),
                            np.array([1, 0, 1, 1, 1, 0, 0, 0], bool), bins=10)
        filled = {number: (item.count, item.correct, item.confidence)
                  for number, item in enumerate(found.bins) if item.count}
        assert filled == {0: (2, 0, pytest.approx(0.05)), 4: (1, 1, 0.5),
                          5: (3, 2, pytest.approx(1.7 / 3)), 9: (2, 1, pytest.approx(0.95))}
        # |0 - 0.1| + |1 - 0.5| + |2 - 1.7| + |1 - 1.9|, of 8 images.
        assert found.error == pytest.approx((0.1 + 0.5 + 0.3 + 0.9) / 8)
        assert reliability(np.ones(3), np.ones(3, bool)).error == 0

    def test_confused_pairs_and_classes_to_show(self):
        confusion = np.diag(np.full(9, 10)).astype(int)
        confusion = np.pad(confusion, ((0, 0), (0, 1)))
        confusion[7, 2], confusion[2, 7], confusion[4, 9], confusion[5, 0] = 5, 3, 4, 1
        assert confused_pairs(confusion, 3) == [(7, 2), (4, 9), (2, 7)]
        assert classes_to_show(confusion, 3) == [2, 4, 7]
        assert classes_to_show(confusion, 4) in ([0, 2, 4, 7], [2, 4, 5, 7])
        # All confused classes are included first.
        assert set(classes_to_show(confusion, 6)) >= {0, 2, 4, 5, 7}
        assert classes_to_show(confusion, 9) == list(range(9))
