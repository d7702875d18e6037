"""What PyTorch and timm say about names, sizes and schedules: writes parameter-names.json, parameter-counts.json,
window-sizes.json, same-paddings.json and schedules.json here.

python test/goldens/structure.py
"""

import hashlib
import json
import random
import sys
from pathlib import Path

import timm
import torch
from timm.layers.padding import pad_same_arg
from torch.nn import functional as F

here = Path(__file__).parent
sys.path.insert(0, str(here.parents[1] / "bench" / "peers"))
from pytorch_models import build  # noqa: E402


def parameter_names():
    models = ["cifar-resnet20", "cifar-resnet20-preact", "resnet18-small"]
    return {name: {key: list(p.shape) for key, p in build(name).named_parameters()} for name in models}


def parameter_counts():
    """Of PyTorch's networks: how many numbers, and a digest of every name and shape in order."""
    models = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnetv2_50", "resnetv2_101", "resnet200-v2"]
    return {name: count(build(name)) for name in models}


def count(model):
    lines = [f"{key} {list(p.shape)}" for key, p in model.named_parameters()]
    digest = hashlib.sha256("\n".join(lines).replace(" ", "").encode()).hexdigest()
    return {"parameters": sum(p.numel() for p in model.parameters()), "sha256": digest}


def window_sizes(count=120):
    """Output sizes of random pooling and convolution windows; None where PyTorch refuses."""
    rng = random.Random(1)
    cases = []
    while len(cases) < count:
        kernel = [rng.randint(1, 5), rng.randint(1, 5)]
        case = {
            "op": rng.choice(["conv", "max", "avg"]),
            "size": [rng.randint(1, 17), rng.randint(1, 17)],
            "kernel": kernel,
            "stride": [rng.randint(1, 4), rng.randint(1, 4)],
            "padding": [rng.randint(0, k // 2) for k in kernel],
            "ceil": rng.random() < 0.5,
        }
        cases.append({**case, "output": output_size(case)})
    return cases


def output_size(case):
    x = torch.zeros(1, 1, *case["size"])
    shared = {"stride": case["stride"], "padding": case["padding"]}
    try:
        if case["op"] == "conv":
            return list(F.conv2d(x, torch.zeros(1, 1, *case["kernel"]), **shared).shape[2:])
        pool = F.max_pool2d if case["op"] == "max" else F.avg_pool2d
        return list(pool(x, case["kernel"], ceil_mode=case["ceil"], **shared).shape[2:])
    except RuntimeError:
        return None


def same_paddings(count=60):
    """TensorFlow's asymmetric padding of random windows, as timm computes it for weights that were trained with it."""
    rng = random.Random(2)

    def pair(low, high):
        return [rng.randint(low, high), rng.randint(low, high)]

    cases = [{"size": pair(1, 40), "kernel": pair(1, 7), "stride": pair(1, 4), "dilation": pair(1, 3)} for _ in range(count)]
    for case in cases:
        left, right, top, bottom = pad_same_arg(case["size"], case["kernel"], case["stride"], case["dilation"])
        case["padding"] = [top, left, bottom, right]
    return cases


def schedules():
    def rates(make, steps):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule = make(optimizer)
        values = []
        for _ in range(steps):
            values.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return values

    lr = torch.optim.lr_scheduler
    return {
        "oneCycle": rates(lambda o: lr.OneCycleLR(o, max_lr=0.2, total_steps=41), 40),
        "oneCycleCustom": rates(
            lambda o: lr.OneCycleLR(o, 0.4, total_steps=21, pct_start=0.45, div_factor=10, final_div_factor=100), 20
        ),
        "cosine": rates(lambda o: lr.CosineAnnealingLR(o, T_max=20, eta_min=0.01), 21),
        "step": rates(lambda o: lr.MultiStepLR(o, milestones=[4, 9], gamma=0.1), 12),
        "exponential": rates(lambda o: lr.ExponentialLR(o, gamma=0.9), 12),
        "staircase": rates(lambda o: lr.StepLR(o, step_size=3, gamma=0.5), 12),
        "polynomial": rates(lambda o: lr.PolynomialLR(o, total_iters=11, power=2.0), 14),
    }


def main():
    for name, content in [
        ("parameter-names", parameter_names()),
        ("parameter-counts", parameter_counts()),
        ("window-sizes", window_sizes()),
        ("same-paddings", same_paddings()),
        ("schedules", schedules()),
    ]:
        versions = {"torch": torch.__version__, "timm": timm.__version__}
        (here / f"{name}.json").write_text(json.dumps({"versions": versions, "content": content}) + "\n")


main()
