"""The checkpoints published on TensorFlow's download site."""

from __future__ import annotations

from dataclasses import dataclass

# The bucket behind http://download.tensorflow.org.
SITE = 'https://storage.googleapis.com/download.tensorflow.org'


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A published checkpoint: the path of its archive on the site, and its network."""

    path: str
    network: str


PUBLISHED: dict[str, PublishedCheckpoint] = {
    'inception_v1': PublishedCheckpoint('models/inception_v1_2016_08_28.tar.gz', 'inception_v1'),
    'inception_v2': PublishedCheckpoint('models/inception_v2_2016_08_28.tar.gz', 'inception_v2'),
    'inception_v3': PublishedCheckpoint('models/inception_v3_2016_08_28.tar.gz', 'inception_v3'),
    'inception_v4': PublishedCheckpoint('models/inception_v4_2016_09_09.tar.gz', 'inception_v4'),
    'inception_resnet_v2': PublishedCheckpoint(
        'models/inception_resnet_v2_2016_08_30.tar.gz', 'inception_resnet_v2'
    ),
    # The first release.
    'inception_v3_2016_03_01': PublishedCheckpoint(
        'models/image/imagenet/inception-v3-2016-03-01.tar.gz', 'inception_v3'
    ),
    # Adversarially trained, the ens ones with an ensemble of three or four networks.
    'adv_inception_v3': PublishedCheckpoint(
        'models/adv_inception_v3_2017_08_18.tar.gz', 'inception_v3'
    ),
    'ens3_adv_inception_v3': PublishedCheckpoint(
        'models/ens3_adv_inception_v3_2017_08_18.tar.gz', 'inception_v3'
    ),
    'ens4_adv_inception_v3': PublishedCheckpoint(
        'models/ens4_adv_inception_v3_2017_08_18.tar.gz', 'inception_v3'
    ),
    'ens_adv_inception_resnet_v2': PublishedCheckpoint(
        'models/ens_adv_inception_resnet_v2_2017_08_18.tar.gz', 'inception_resnet_v2'
    ),
}
