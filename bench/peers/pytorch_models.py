"""The peer's networks: the same graphs as lib/models, written in plain PyTorch with the same parameter names."""

import torch
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
    def __init__(self, depth=20, pre_activation=False, num_classes=10, option="A"):
        super().__init__()
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
                blocks.append(
                    PreActBlock(inputs, outputs, stride)
                    if pre_activation
                    else BasicBlock(inputs, outputs, stride, option)
                )
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
    """ResNet-18 widths at small images: 3x3 stem without pooling; used for timing only."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = conv3x3(3, 64)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage, outputs in enumerate((64, 128, 256, 512)):
            stride = 2 if stage > 0 else 1
            blocks = [BasicBlock(inputs, outputs, stride, "B"), BasicBlock(outputs, outputs, 1, "B")]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs
        self.fc = nn.Linear(512, num_classes)
        self.apply(initialise)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def initialise(module):
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build(name, num_classes=10):
    if name == "resnet18-small":
        return SmallResNet18(num_classes)
    head, pre, _ = name.partition("-preact")
    return CifarResNet(int(head.removeprefix("cifar-resnet")), bool(pre), num_classes)
