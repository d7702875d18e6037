"""The Inception networks of the peer, written from the definition: v2 of Ioffe and Szegedy 2015, figure 5, and GoogLeNet."""

from collections import OrderedDict
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F


def same_pool(x, size, stride, pool=F.max_pool2d):
    """Pooling padded as TensorFlow does: ceil(n / stride) windows, the odd pixel behind."""
    pads = []
    for n in x.shape[:1:-1]:
        total = max((-(-n // stride) - 1) * stride + size - n, 0)
        pads += [total // 2, total - total // 2]
    if pool is F.max_pool2d:
        return pool(F.pad(x, pads, value=-torch.inf), size, stride)
    shares = pool(F.pad(torch.ones_like(x[:1, :1]), pads), size, stride)
    return pool(F.pad(x, pads), size, stride) / shares


V2_ROWS = {
    "3a": (64, (64, 64), (64, 96), "avg", 32),
    "3b": (64, (64, 96), (64, 96), "avg", 64),
    "3c": (0, (128, 160), (64, 96), "max", 0),
    "4a": (224, (64, 96), (96, 128), "avg", 128),
    "4b": (192, (96, 128), (96, 128), "avg", 128),
    "4c": (160, (128, 160), (128, 160), "avg", 128),
    "4d": (96, (128, 192), (160, 192), "avg", 128),
    "4e": (0, (128, 192), (192, 256), "max", 0),
    "5a": (352, (192, 320), (160, 224), "avg", 128),
    "5b": (352, (192, 320), (192, 224), "max", 128),
}
V1_ROWS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Unit(nn.Module):
    """Convolution padded as TensorFlow does, BN (or a bias), activation."""

    def __init__(self, inputs, outputs, size, stride=1, norm=True, act=F.relu, separable=False):
        super().__init__()
        self.size, self.stride, self.act = size, stride, act
        if separable:
            depthwise = nn.Conv2d(inputs, 8 * inputs, size, stride, groups=inputs, bias=False)
            parts = [("depthwise", depthwise), ("pointwise", nn.Conv2d(8 * inputs, outputs, 1, bias=not norm))]
            self.conv = nn.Sequential(OrderedDict(parts))
        else:
            self.conv = nn.Conv2d(inputs, outputs, size, stride, bias=not norm)
        if norm:
            self.bn = nn.BatchNorm2d(outputs, 1e-3)

    def forward(self, x):
        pads = []
        for n in x.shape[:1:-1]:
            total = max((-(-n // self.stride) - 1) * self.stride + self.size - n, 0)
            pads += [total // 2, total - total // 2]
        y = self.conv(F.pad(x, pads))
        return self.act(self.bn(y) if hasattr(self, "bn") else y)


class Pool(nn.Module):
    def __init__(self, kind, stride=1):
        super().__init__()
        self.kind, self.stride = kind, stride

    def forward(self, x):
        return same_pool(x, 3, self.stride, F.max_pool2d if self.kind == "max" else F.avg_pool2d)


class Branches(nn.Module):
    def __init__(self, **branches):
        super().__init__()
        for name, branch in branches.items():
            setattr(self, name, branch)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], 1)


class Head(nn.Module):
    """An auxiliary head without its dropout: 5x5/3 average pool, 1x1 to 128, fully connected to 1024, linear."""

    def __init__(self, inputs, num_classes, map, unit, act):
        super().__init__()
        self.act = act
        self.conv = unit(inputs, 128, 1)
        self.fc1 = nn.Linear(128 * ((map - 5) // 3 + 1) ** 2, 1024)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(self.conv(F.avg_pool2d(x, 5, 3)).flatten(1))))


class Inception(nn.Module):
    """Inception-v2 (BN-Inception), or with version=1 GoogLeNet with LRN; `width` multiplies the channels. With the size
    of the pictures as `heads` it has auxiliary ones, and answers [logits, aux1, aux2] in training.
    """

    def __init__(self, version=2, num_classes=1000, width=1, separable=False, tfslim=False, act=F.relu, heads=None):
        super().__init__()
        self.version, self.heads = version, heads
        unit = partial(Unit, norm=version == 2, act=act)
        scale = lambda channels: round(channels * width)  # noqa: E731
        self.conv1 = Unit(3, scale(64), 7, 2, version == 2 and not separable, act, separable)  # tf-slim: no BN there
        self.conv2 = unit(scale(64), scale(64), 1)
        self.conv3 = unit(scale(64), scale(192), 3)
        inputs, widths = scale(192), {}
        for name, row in (V2_ROWS if version == 2 else V1_ROWS).items():
            if tfslim and name in ("4c", "4d"):
                row = (*row[:4], 96)
            module, inputs = (self.mixed2 if version == 2 else self.mixed1)(inputs, row, unit, scale)
            setattr(self, f"inception{name}", module)
            widths[name] = inputs
        self.fc = nn.Linear(inputs, num_classes)
        if heads:
            self.aux1 = Head(widths["4a"], num_classes, -(-heads // 16), unit, act)
            self.aux2 = Head(widths["4d"], num_classes, -(-heads // 16), unit, act)

    @staticmethod
    def mixed2(inputs, row, unit, s):
        one, three, double, kind, projection = row
        stride = 1 if one else 2
        branches = {"branch1": unit(inputs, s(one), 1)} if one else {}
        branches["branch2"] = nn.Sequential(unit(inputs, s(three[0]), 1), unit(s(three[0]), s(three[1]), 3, stride))
        branches["branch3"] = nn.Sequential(
            unit(inputs, s(double[0]), 1),
            unit(s(double[0]), s(double[1]), 3),
            unit(s(double[1]), s(double[1]), 3, stride),
        )
        pool = Pool(kind, stride)
        branches["branch4"] = nn.Sequential(pool, unit(inputs, s(projection), 1)) if projection else pool
        pooled = s(projection) if projection else inputs
        return Branches(**branches), (s(one) if one else 0) + s(three[1]) + s(double[1]) + pooled

    @staticmethod
    def mixed1(inputs, row, unit, s):
        one, three, wide3, five, wide5, projection = map(s, row)
        branches = {
            "branch1": unit(inputs, one, 1),
            "branch2": nn.Sequential(unit(inputs, three, 1), unit(three, wide3, 3)),
            "branch3": nn.Sequential(unit(inputs, five, 1), unit(five, wide5, 5)),
            "branch4": nn.Sequential(Pool("max"), unit(inputs, projection, 1)),
        }
        return Branches(**branches), one + wide3 + wide5 + projection

    def forward(self, x):
        lrn = (lambda x: F.local_response_norm(x, 5, 1e-4, 0.75, 1)) if self.version == 1 else (lambda x: x)
        x = lrn(same_pool(self.conv1(x), 3, 2))
        x = same_pool(lrn(self.conv3(self.conv2(x))), 3, 2)
        for name in V2_ROWS if self.version == 2 else V1_ROWS:
            if self.version == 1 and name in ("4a", "5a"):
                x = same_pool(x, 3, 2)
            x = getattr(self, f"inception{name}")(x)
            if name == "4a" and self.heads and self.training:
                aux1 = self.aux1(x)
            if name == "4d" and self.heads and self.training:
                aux2 = self.aux2(x)
        logits = self.fc(x.mean((2, 3)))
        return [logits, aux1, aux2] if self.heads and self.training else logits
