"""The peer's networks: the same graphs as lib/models, with the same parameter names: torchvision's and timm's own where
they have the network, else plain PyTorch written from the definition.
"""

from collections import OrderedDict
from functools import partial

import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F


def conv3x3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class OptionA(nn.Module):
    """Identity shortcut of He et al. 2015, section 4.2: subsample, then append zero channels."""

    def __init__(self, outputs, stride):
        super().__init__()
        self.outputs, self.stride = outputs, stride

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.outputs - x.shape[1]))


def strided(inputs, outputs, stride):
    """A shortcut convolution with bias and without BN."""
    return nn.Conv2d(inputs, outputs, 1, stride)


class PlainBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, option="A"):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            if option == "A":
                self.downsample = OptionA(outputs, stride)
            elif option == "strided":
                self.downsample = strided(inputs, outputs, stride)
            else:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class PreActBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        active = F.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(active)
        y = self.conv1(active)
        return self.conv2(F.relu(self.bn2(y))) + shortcut


class CifarResNet(nn.Module):
    def __init__(self, depth=20, kind="", num_classes=10, option="A"):
        super().__init__()
        pre_activation = kind == "preact"
        n = (depth - 2) // 6
        assert 6 * n + 2 == depth
        self.pre_activation = pre_activation
        self.conv1 = conv3x3(3, 16)
        if not pre_activation:
            self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, outputs in enumerate((16, 32, 64)):
            blocks = []
            for i in range(n):
                stride = 2 if stage > 0 and i == 0 else 1
                block = {"preact": PreActBlock, "plain": PlainBlock}.get(kind, partial(BasicBlock, option=option))
                blocks.append(block(inputs, outputs, stride))
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        if pre_activation:
            self.bn = nn.BatchNorm2d(64)
        self.fc = nn.Linear(64, num_classes)
        self.apply(initialise)

    def forward(self, x):
        x = self.conv1(x)
        if not self.pre_activation:
            x = F.relu(self.bn1(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        if self.pre_activation:
            x = F.relu(self.bn(x))
        return self.fc(x.mean((2, 3)))


class SmallResNet18(nn.Module):
    """ResNet-18 for small images: 3x3 stem without padding, 2x2 pool of stride 1, shortcuts without BN."""

    def __init__(self, num_classes=10, width=64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, outputs in enumerate((width, 2 * width, 4 * width, 8 * width)):
            stride = 2 if stage > 0 else 1
            blocks = [BasicBlock(inputs, outputs, stride, "strided"), BasicBlock(outputs, outputs, 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs
        self.fc = nn.Linear(8 * width, num_classes)
        self.apply(initialise)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class Bottleneck(torchvision.models.resnet.Bottleneck):
    """torchvision's, with the stride in the first 1x1 (v1, the paper) instead of the 3x3."""

    def __init__(self, inplanes, planes, stride=1, *args, **kwargs):
        super().__init__(inplanes, planes, stride, *args, **kwargs)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


IMAGENET = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
IMAGENET |= {"resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}


SLIM_V2 = {"resnet50-v2": (3, 4, 6, 3), "resnet101-v2": (3, 4, 23, 3)}
SLIM_V2 |= {"resnet152-v2": (3, 8, 36, 3), "resnet200-v2": (3, 24, 36, 3)}


def imagenet_resnet(name, num_classes=1000):
    head, v1, _ = name.partition("-v1")
    if not v1:
        return getattr(torchvision.models, head)(num_classes=num_classes)
    return torchvision.models.ResNet(Bottleneck, IMAGENET[head], num_classes)


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


class PreActUnit(nn.Module):
    """tf-slim's pre-activation bottleneck: a bias wherever no BN follows, the shortcut subsampled where depths agree."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        inner = outputs // 4
        self.stride = stride
        if inputs != outputs:
            self.downsample = nn.ModuleDict({"conv": nn.Conv2d(inputs, outputs, 1, stride)})
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1)

    def forward(self, x):
        active = F.relu(self.norm1(x))
        shortcut = self.downsample["conv"](active) if hasattr(self, "downsample") else x[..., :: self.stride, :: self.stride]
        y = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return self.conv3(F.relu(self.norm3(y))) + shortcut


class SlimResNetV2(nn.Module):
    """Strides 2, 2, 2, 1 in the last unit of the four stages."""

    def __init__(self, units, num_classes=1000, width=64, root=True, global_pool=True):
        super().__init__()
        self.root, self.global_pool = root, global_pool
        if root:
            self.stem = nn.ModuleDict({"conv": nn.Conv2d(3, width, 7, 2, 3)})
        inputs, stages = width if root else 3, []
        for i, (count, stride) in enumerate(zip(units, (2, 2, 2, 1))):
            outputs, blocks = 4 * width * 2**i, []
            for unit in range(count):
                blocks.append(PreActUnit(inputs, outputs, stride if unit == count - 1 else 1))
                inputs = outputs
            stages.append(nn.ModuleDict({"blocks": nn.Sequential(*blocks)}))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.ModuleDict({"fc": nn.Conv2d(inputs, num_classes, 1)})

    def forward(self, x):
        if self.root:
            x = same_pool(self.stem["conv"](x), 3, 2)
        for stage in self.stages:
            x = stage["blocks"](x)
        x = F.relu(self.norm(x))
        if not self.global_pool:
            return self.head["fc"](x)
        return self.head["fc"](x.mean((2, 3), keepdim=True)).flatten(1)


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


def initialise(module):
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build(name, num_classes=None):
    """With as many classes as the network was made for, unless `num_classes` says otherwise."""
    if name.partition("-v1")[0] in IMAGENET:
        return imagenet_resnet(name, num_classes or 1000)
    if name.startswith("resnetv2_"):
        return timm.create_model(name, num_classes=num_classes or 1000)
    if name in SLIM_V2:
        return SlimResNetV2(SLIM_V2[name], num_classes or 1000)
    if name.startswith("inception-v"):
        tfslim, act = name.endswith("tfslim"), torch.sigmoid if name.endswith("sigmoid") else F.relu
        return Inception(int(name[11]), num_classes or 1000, separable=tfslim, tfslim=tfslim, act=act)
    if name == "resnet18-small":
        return SmallResNet18(num_classes or 10)
    if name.startswith("cifar-plain"):
        return CifarResNet(int(name.removeprefix("cifar-plain")), "plain", num_classes or 10)
    head, pre, _ = name.partition("-preact")
    return CifarResNet(int(head.removeprefix("cifar-resnet")), "preact" if pre else "", num_classes or 10)
