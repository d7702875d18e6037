"""The peer's networks: the same graphs as lib/models, with the same parameter names: torchvision's and timm's own where
they have the network, else plain PyTorch written from the definition.
"""

from functools import partial

import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from pytorch_inception import Inception, same_pool


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
