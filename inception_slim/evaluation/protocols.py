"""How programs for generative metrics compute them, by the names of the programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """The conventions of a program.

    Attributes:
      name: by which it is chosen.
      program: what it is, for the output.
      resize: how images are resized, one of `options.RESIZES`.
      metrics: the metrics that the program computes, of `METRICS`.
      splits: the number of splits of the Inception Score.
      split_size: the number of images in a split, instead of the number of splits.
      seed: of the order of the images for the Inception Score; None for that of the files.
      with_biases: whether the classifier's biases count in the Inception Score.
      distances: of precision and recall, one of `manifold.DISTANCES`.
      weights: the file of weights that the program uses.
    """

    name: str
    program: str
    resize: str
    metrics: tuple[str, ...]
    splits: int = 10
    split_size: int | None = None
    seed: int | None = None
    with_biases: bool = False
    distances: str = 'float32'
    weights: str = 'classify_image_graph_def.pb'


METRICS = ('fid', 'fid_infinity', 'sfid', 'kid', 'isc', 'prc', 'dc')
PROTOCOLS = {protocol.name: protocol for protocol in (
    Protocol('adm', "the evaluator of OpenAI's guided-diffusion", 'original',
             ('fid', 'sfid', 'isc', 'prc'), split_size=5000, distances='float16'),
    Protocol('ttur', 'the first code of FID and of the Inception Score', 'original',
             ('fid', 'isc')),
    Protocol('pytorch-fid', 'pytorch-fid', 'pytorch', ('fid',),
             weights='pt_inception-2015-12-05-6726825d.pth'),
    Protocol('torch-fidelity', 'torch-fidelity', 'original', ('fid', 'kid', 'isc', 'prc'),
             seed=2020, weights='weights-inception-2015-12-05-6726825d.pth'),
    Protocol('clean-fid', 'clean-fid', 'clean', ('fid', 'kid'),
             weights='inception-2015-12-05.pt'),
    Protocol('tfgan', 'TensorFlow GAN', 'original', ('fid', 'kid', 'isc'), splits=1,
             with_biases=True),
)}
