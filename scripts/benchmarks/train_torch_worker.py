"""A benchmark worker (see `worker_protocol`) that trains Inception V3 in PyTorch.

    python train_torch_worker.py 'PyTorch [compiled ]PRECISION' BATCH_SIZE

The layers are those of torchvision, which is not needed, with the auxiliary head. Losses, RMSProp
and the moving averages of the weights have the same settings as here. L2 is the optimizer's
`weight_decay`, and gradients are clipped by their global norm, as usual in PyTorch.
"""

import os
import sys

import torch
from torch import nn
from torch.nn import functional
from worker_protocol import serve_steps

CLASSES = 1001


class Conv(nn.Module):
    """A convolution, batch norm and ReLU."""

    def __init__(self, inputs, outputs, kernel, **arguments):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, bias=False, **arguments)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001, momentum=0.0003)
        nn.init.trunc_normal_(self.conv.weight, std=0.1, a=-0.2, b=0.2)

    def forward(self, images):
        return functional.relu(self.bn(self.conv(images)), inplace=True)


class Concat(nn.Module):
    """Branches on one input, concatenated."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, images):
        return torch.cat([branch(images) for branch in self.branches], 1)


def convs(inputs, *layers):
    """Convolutions: (channels, kernel) with padding, or (channels, kernel, stride) without."""
    result = []
    for channels, kernel, *stride in layers:
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (0, 0) if stride else tuple(side // 2 for side in sides)
        result.append(Conv(inputs, channels, sides, stride=stride[0] if stride else 1,
                           padding=padding))
        inputs = channels
    return nn.Sequential(*result)


def pooled(inputs, channels):
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), Conv(inputs, channels, 1))


def block_35x35(inputs, pool):
    return Concat(convs(inputs, (64, 1)), convs(inputs, (48, 1), (64, 5)),
                    convs(inputs, (64, 1), (96, 3), (96, 3)), pooled(inputs, pool))


def block_17x17(inner):
    wide, high = (1, 7), (7, 1)
    return Concat(
        convs(768, (192, 1)), convs(768, (inner, 1), (inner, wide), (192, high)),
        convs(768, (inner, 1), (inner, high), (inner, wide), (inner, high), (192, wide)),
        pooled(768, 192))


def block_8x8(inputs):
    def spread(*layers):
        base = convs(inputs, *layers)
        return nn.Sequential(base, Concat(convs(384, (384, (1, 3))), convs(384, (384, (3, 1)))))

    return Concat(convs(inputs, (320, 1)), spread((384, 1)), spread((448, 1), (384, 3)),
                  pooled(inputs, 192))


class Inception(nn.Module):

    def __init__(self):
        super().__init__()
        self.until_aux = nn.Sequential(
            convs(3, (32, 3, 2), (32, 3, 1), (64, 3)), nn.MaxPool2d(3, 2),
            convs(64, (80, 1), (192, 3, 1)), nn.MaxPool2d(3, 2),
            block_35x35(192, 32), block_35x35(256, 64), block_35x35(288, 64),
            Concat(convs(288, (384, 3, 2)), convs(288, (64, 1), (96, 3), (96, 3, 2)),
                   nn.MaxPool2d(3, 2)),
            block_17x17(128), block_17x17(160), block_17x17(160), block_17x17(192))
        self.after = nn.Sequential(
            Concat(convs(768, (192, 1), (320, 3, 2)),
                   convs(768, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
                   nn.MaxPool2d(3, 2)),
            block_8x8(1280), block_8x8(2048), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Dropout(0.2), nn.Linear(2048, CLASSES))
        self.aux = nn.Sequential(nn.AvgPool2d(5, 3), Conv(768, 128, 1), Conv(128, 768, 5),
                                 nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(768, CLASSES))

    def forward(self, images):
        grid = self.until_aux(images)
        return self.after(grid), self.aux(grid)


def build_step(batch_size: int, compiled: bool, bfloat16: bool):
    """Returns a function that runs one training step and returns its loss."""
    torch.manual_seed(0)
    model = Inception().to(memory_format=torch.channels_last).train()
    images = torch.rand(batch_size, 3, 299, 299).mul_(2).sub_(1).to(
        memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (batch_size,))
    kernels = [value for value in model.parameters() if value.ndim > 1]
    others = [value for value in model.parameters() if value.ndim == 1]
    optimizer = torch.optim.RMSprop(
        [{'params': kernels, 'weight_decay': 0.00004}, {'params': others}], lr=0.01, alpha=0.9,
        eps=1.0, momentum=0.9, foreach=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1000, 0.94)
    averages = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9999))
    call = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast('cpu', torch.bfloat16, enabled=bfloat16):
            logits, aux = call(images)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        loss = loss + 0.4 * functional.cross_entropy(aux.float(), labels, label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0, foreach=True)
        optimizer.step()
        schedule.step()
        averages.update_parameters(model)
        return loss.item()

    return step


def main():
    name, batch_size = sys.argv[1], int(sys.argv[2])
    if hasattr(os, 'sched_getaffinity'):
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    step = build_step(batch_size, 'compiled' in name, 'bfloat16' in name)
    step()  # compiles
    serve_steps(f'PyTorch {torch.__version__}', step)


if __name__ == '__main__':
    main()
