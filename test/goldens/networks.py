"""PyTorch's answers for the networks of lib/models: logits, loss and the gradient of every parameter in one training
step, and the logits of evaluation. The peers are torchvision's and timm's own modules where they have the network, else
modules written from the definition (bench/peers/pytorch_models.py). All in float64; weights and inputs follow the formula
of weights.ts, so that only answers are stored. Networks are cut short (fewer blocks, small inputs): the full ones differ
in how often a block stands, which parameter-counts.json pins.

Usage, from the repository root:
    python test/goldens/networks.py [NAME ...]                          writes networks/NAME.json
    python test/goldens/networks.py --full MODEL --size S               prints the same of a whole network of lib/models,
                                                                        and how far PyTorch's float32 is off
"""

import argparse
import json
import sys
from collections import OrderedDict
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import generate
from generate import pytorch_models

HERE = Path(__file__).parent
CLASSES = 7
generate.SAMPLES = 4


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


class Highway(nn.Module):
    def __init__(self, channels, size):
        super().__init__()
        self.transform = nn.Conv2d(channels, channels, size, padding="same")
        self.gate = nn.Conv2d(channels, channels, size, padding="same")

    def forward(self, x):
        t = self.gate(x).sigmoid()
        return F.relu(self.transform(x)) * t + x * (1 - t)


class Highway19(nn.Module):
    def __init__(self, widths=(8, 20, 32), num_classes=CLASSES):
        super().__init__()
        inputs = 3
        for i, channels in enumerate(widths):
            conv, units = nn.Conv2d(inputs, channels, 3, padding=1), [Highway(channels, 3) for _ in range(5)]
            setattr(self, f"stage{i + 1}", nn.ModuleDict({"conv": conv, "units": nn.Sequential(*units)}))
            inputs = channels
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, x):
        for i, stage in enumerate((self.stage1, self.stage2, self.stage3)):
            x = stage["units"](F.relu(stage["conv"](F.max_pool2d(x, 2) if i else x)))
        return self.fc(x.mean((2, 3)))


class SigmoidMlp(nn.Module):
    def __init__(self, norm, num_classes=CLASSES):
        super().__init__()
        layers = []
        for inputs, size in ((1, 28), (100, 1), (100, 1)):
            parts = [("linear", nn.Conv2d(inputs, 100, size, bias=not norm))]
            parts += [("bn", nn.BatchNorm2d(100))] if norm else []
            layers.append(nn.Sequential(OrderedDict([*parts, ("sigmoid", nn.Sigmoid())])))
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(100, num_classes)

    def forward(self, x):
        return self.fc(self.layers(x).flatten(1))


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
    "inception-v2": (lambda: pytorch_models.Inception(2, CLASSES, 0.125), (4, 3, 65, 65)),
    "inception-v2-tfslim": (
        lambda: pytorch_models.Inception(2, CLASSES, 0.125, separable=True, tfslim=True),
        (4, 3, 65, 65),
    ),
    "inception-v2-sigmoid": (lambda: pytorch_models.Inception(2, CLASSES, 0.125, act=torch.sigmoid), (4, 3, 65, 65)),
    "inception-v1": (lambda: pytorch_models.Inception(1, CLASSES, 0.125), (4, 3, 65, 65)),
    # The smallest pictures that heads take, and the smallest that give them more than one window to flatten.
    "inception-v1-heads": (lambda: pytorch_models.Inception(1, CLASSES, 0.125, heads=65), (4, 3, 65, 65)),
    "inception-v2-heads": (lambda: pytorch_models.Inception(2, CLASSES, 0.125, heads=113), (4, 3, 113, 113)),
    "highway19": (Highway19, (4, 3, 17, 17)),
    "sigmoid-mlp": (lambda: SigmoidMlp(False), (4, 1, 28, 28)),
    "sigmoid-mlp-bn": (lambda: SigmoidMlp(True), (4, 1, 28, 28)),
    "resnet18-small": (lambda: pytorch_models.SmallResNet18(CLASSES, width=16), (4, 3, 15, 15)),
    "cifar-plain14": (lambda: pytorch_models.build("cifar-plain14", CLASSES), (4, 3, 17, 17)),
}


# What bench/peers has no need of.
FULL = {
    "highway19": lambda: Highway19((32, 80, 128), 10),
    "sigmoid-mlp": lambda: SigmoidMlp(False, 10),
    "sigmoid-mlp-bn": lambda: SigmoidMlp(True, 10),
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


def outputs(model, x):
    """Logits, and those of auxiliary heads."""
    found = model(x)
    return found if isinstance(found, list) else [found]


def step(model, x, labels):
    """Logits, those of heads, and the loss, whose gradients the parameters then hold."""
    logits, *heads = outputs(model.train(), x)
    loss = F.cross_entropy(logits.flatten(2).mean(2) if logits.ndim == 4 else logits, labels)
    loss = loss + sum(0.3 * F.cross_entropy(head, labels) for head in heads)
    loss.backward()
    return [each.detach() for each in (logits, *heads)], loss.item()


def answers(make, shape):
    return compared(make, shape)[0]


def compared(make, shape):
    """The answers, and the errors of PyTorch's float32 loss and gradients."""
    model, single = build(make), build(make).float()
    x, labels = inputs(shape)
    with torch.no_grad():
        evaluation = model.eval()(x)
    (logits, *heads), loss = step(model, x, labels)
    found, found_loss = step(single, x.float(), labels)
    errors = [generate.relative(ours, truth) for ours, truth in zip(found, [logits, *heads])]
    names = [f"aux{i + 1}" for i in range(len(heads))]
    content = {
        "shape": shape,
        "evaluation": evaluation.reshape(-1).tolist(),
        "logits": logits.reshape(-1).tolist(),
        **({"heads": {name: head.reshape(-1).tolist() for name, head in zip(names, heads)}} if heads else {}),
        "loss": loss,
        "peerErrors": dict(zip(["logits", *names], errors)),
        "gradients": {key: generate.sample(key, p.grad) for key, p in model.named_parameters()},
    }
    return content, {"loss": abs(found_loss / loss - 1), "gradients": gradient_errors(single, model)}


def gradient_errors(single, model):
    """Relative to the 2-norm, without those that are nothing but rounding: biases that only a batch normalisation sees."""
    pairs = [(p.grad, q.grad) for p, q in zip(single.parameters(), model.parameters())]
    largest = max(truth.norm() for _, truth in pairs)
    each = sorted(generate.relative(found, truth) for found, truth in pairs if truth.norm() > 1e-12 * largest)
    return {"median": each[len(each) // 2], "worst": each[-1]}


def full(name, size):
    generate.SAMPLES = 4096
    make = FULL.get(name, partial(pytorch_models.build, name))
    content, peer = compared(make, (4, 1 if name.startswith("sigmoid-mlp") else 3, size, size))
    return content | {"peer": peer}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="NAME")
    p.add_argument("--full", metavar="MODEL")
    p.add_argument("--size", type=int)
    a = p.parse_args()
    if a.full:
        return json.dump({"versions": generate.VERSIONS, **full(a.full, a.size)}, sys.stdout)
    (HERE / "networks").mkdir(exist_ok=True)
    for name in a.names or CASES:
        generate.write(f"networks/{name}.json", {"versions": generate.VERSIONS, **answers(*CASES[name])})


if __name__ == "__main__":
    main()
