"""A benchmark worker (see `worker_protocol`) that computes FID of two folders.

    python fid_worker.py PROGRAM WEIGHTS

PROGRAM is inception_slim-float32, inception_slim-bfloat16, pytorch-fid or torch-fidelity. The
command `fid` takes two folders and returns seconds, seconds of processor time and the FID. What is
timed includes loading the network.
"""

import os
import sys
import time

from worker_protocol import serve


def main(program, weights):
    if program.startswith('inception_slim'):
        from inception_slim import evaluation
        from inception_slim.inference.cpu_features import use_system_allocator

        use_system_allocator()  # as the commands do, before TensorFlow is imported
        precision = program.rpartition('-')[2]

        def compute(first, second):
            return evaluation.fid(weights, first, second, precision=precision).fid

    else:
        from fid_programs import prepare

        prepare(weights)
        if program == 'pytorch-fid':
            from pytorch_fid import fid_score

            def compute(first, second):
                return float(fid_score.calculate_fid_given_paths(
                    [first, second], 32, 'cpu', 2048, num_workers=len(os.sched_getaffinity(0))))

        else:
            import torch_fidelity

            def compute(first, second):
                return torch_fidelity.calculate_metrics(
                    input1=first, input2=second, cuda=False, fid=True, verbose=False, cache=False,
                    batch_size=32, feature_extractor_weights_path=weights,
                )['frechet_inception_distance']

    def fid(first, second):
        # With that of the processes that read images, which have ended.
        start, worked = time.perf_counter(), sum(os.times()[:4])
        value = compute(first, second)
        return time.perf_counter() - start, sum(os.times()[:4]) - worked, value

    serve({}, fid=fid)


if __name__ == '__main__':
    main(*sys.argv[1:])
