"""The registry: one place that names a network, its scope, its input size and its classifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inception_slim.nets import inception_v3


@dataclass(frozen=True)
class Network:
    """What must be known of a network beside its code."""

    name: str
    title: str
    function: Callable
    arg_scope: Callable
    scope: str
    # Layers by their names inside the scope: the classifier, and the auxiliary one if there is one.
    classifier: str
    aux_classifier: str | None
    # A layer that this network has and no other.
    fingerprint: str
    # Some layers' channels at depth multiplier 1; none where the network cannot be thinned.
    channels: dict[str, int] = field(default_factory=dict)

    @property
    def image_size(self) -> int:
        return self.function.default_image_size

    @property
    def heads(self) -> tuple[str, ...]:
        """The scopes of the classifiers, which depend on the number of classes."""
        return ('Logits', 'AuxLogits') if self.aux_classifier else ('Logits',)


NETWORKS: dict[str, Network] = {network.name: network for network in (
    Network(
        name='inception_v3', title='Inception V3',
        function=inception_v3.inception_v3, arg_scope=inception_v3.inception_v3_arg_scope,
        scope='InceptionV3',
        classifier='Logits/Conv2d_1c_1x1', aux_classifier='AuxLogits/Conv2d_2b_1x1',
        fingerprint='Mixed_5c/Branch_1/Conv_1_0c_5x5',
        channels={
            'Conv2d_1a_3x3': 32, 'Conv2d_2b_3x3': 64, 'Conv2d_3b_1x1': 80, 'Conv2d_4a_3x3': 192,
            'Mixed_6a/Branch_0/Conv2d_1a_1x1': 384, 'Mixed_7a/Branch_0/Conv2d_1a_3x3': 320,
            'Mixed_7b/Branch_2/Conv2d_0a_1x1': 448}),
)}
