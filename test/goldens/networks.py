"""PyTorch's answers for the networks of lib/models: logits, loss and the gradient of every parameter in one training
step, and the logits of evaluation. The peers are torchvision's and timm's own modules where they have the network, else
modules written from the definition (bench/peers/pytorch_models.py). All in float64; weights and inputs follow the formula
of weights.ts, so that only answers are stored. Networks are cut short (fewer blocks, small inputs): the full ones differ
in how often a block stands, which parameter-counts.json pins.

Usage, from the repository root: python test/goldens/networks.py [NAME ...]     writes networks/NAME.json
"""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import generate
from generate import pytorch_models

HERE = Path(__file__).parent
CLASSES = 7
generate.SAMPLES = 8


class ResNet(pytorch_models.torchvision.models.ResNet):
    """torchvision's with a quarter of the channels."""

    def __init__(self, block, *blocks):
        super().__init__(block, blocks)
        self.conv1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.fc = nn.Linear(128 * block.expansion, CLASSES)

    def _make_layer(self, block, planes, *args, **options):
        if planes == 64:
            self.inplanes = 16
        return super()._make_layer(block, planes // 4, *args, **options)


def timm_v2():
    """A quarter of the channels, too."""
    options = {"channels": (64, 128, 256, 512), "stem_chs": 16, "num_classes": CLASSES}
    return pytorch_models.timm.create_model("resnetv2_50", layers=(2, 2, 1, 1), **options)


TORCHVISION = pytorch_models.torchvision.models.resnet

# name: (the network, the shape of its input)
CASES = {
    "resnet-basic": (partial(ResNet, TORCHVISION.BasicBlock, 1, 2, 1, 1), (4, 3, 33, 33)),
    "resnet-v1.5": (partial(ResNet, TORCHVISION.Bottleneck, 1, 2, 1, 1), (4, 3, 33, 33)),
    "resnet-v1": (partial(ResNet, pytorch_models.Bottleneck, 1, 2, 1, 1), (4, 3, 33, 33)),
    "resnetv2-slim": (lambda: pytorch_models.SlimResNetV2((2, 2, 1, 1), CLASSES, 16), (4, 3, 50, 50)),
    "resnetv2-slim-map": (lambda: pytorch_models.SlimResNetV2((1, 2), CLASSES, 16, False, False), (4, 3, 11, 11)),
    "resnetv2-timm": (timm_v2, (4, 3, 50, 50)),
    "resnet18-small": (lambda: pytorch_models.SmallResNet18(CLASSES, width=16), (4, 3, 15, 15)),
    "cifar-plain14": (lambda: pytorch_models.build("cifar-plain14", CLASSES), (4, 3, 17, 17)),
}


def build(make):
    torch.manual_seed(0)
    model = make()
    state = model.state_dict()
    for key, value in state.items():
        if value.dtype.is_floating_point:
            state[key] = generate.initial(key, tuple(value.shape))
    model.load_state_dict(state)
    return model.double()


def inputs(shape):
    x = torch.from_numpy(generate.uniform("x", torch.Size(shape).numel())).reshape(shape)
    return x, torch.arange(shape[0]) % CLASSES


def answers(make, shape):
    model = build(make)
    x, labels = inputs(shape)
    with torch.no_grad():
        evaluation = model.eval()(x)
    logits = model.train()(x)
    loss = F.cross_entropy(logits.flatten(2).mean(2) if logits.ndim == 4 else logits, labels)
    loss.backward()
    return {
        "shape": shape,
        "evaluation": evaluation.reshape(-1).tolist(),
        "logits": logits.detach().reshape(-1).tolist(),
        "loss": loss.item(),
        "gradients": {key: generate.sample(key, p.grad) for key, p in model.named_parameters()},
    }


def main():
    (HERE / "networks").mkdir(exist_ok=True)
    for name in sys.argv[1:] or CASES:
        generate.write(f"networks/{name}.json", {"versions": generate.VERSIONS, **answers(*CASES[name])})


if __name__ == "__main__":
    main()
