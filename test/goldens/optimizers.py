"""What PyTorch's optimizers and weight averages do to a few small parameters in float64: writes optimizers.json.

Weights and gradients follow the formula of weights.ts. LARS has no reference in PyTorch: it is You, Gitman and
Ginsburg 2017, algorithm 1, written with numpy.
Usage: python test/goldens/optimizers.py
"""

import json
from pathlib import Path

import numpy as np
import torch
from generate import uniform
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

SHAPES = {"conv.weight": [3, 2, 1, 1], "bn.weight": [3], "fc.weight": [2, 3], "fc.bias": [2]}
STEPS = 6
RATES = [0.1 * (1 - step / 8) for step in range(STEPS)]


def start():
    return {name: uniform(name, int(np.prod(shape))) for name, shape in SHAPES.items()}


def gradients(step):
    return {name: uniform(f"gradient.{step}.{name}", int(np.prod(shape))) for name, shape in SHAPES.items()}


def torch_run(make, max_norm=None):
    weights = {name: torch.from_numpy(w).requires_grad_() for name, w in start().items()}
    optimizer = make(list(weights.values()))
    for step, rate in enumerate(RATES):
        for name, g in gradients(step).items():
            weights[name].grad = torch.from_numpy(g)
        if max_norm:
            torch.nn.utils.clip_grad_norm_(weights.values(), max_norm)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return {name: w.detach().tolist() for name, w in weights.items()}


def lars_run(momentum, decay, trust):
    weights = start()
    weights["fc.weight"] *= 0  # no norm: the ratio is 1
    velocity = {name: np.zeros_like(w) for name, w in weights.items()}
    for step, rate in enumerate(RATES):
        for name, g in gradients(step).items():
            w, v = weights[name], velocity[name]
            if len(SHAPES[name]) == 1:  # biases and norms: plain SGD with momentum
                v[:] = momentum * v + g
                w -= rate * v
                continue
            norm = np.linalg.norm(w)
            ratio = trust * norm / (np.linalg.norm(g) + decay * norm) if norm > 0 else 1
            v[:] = momentum * v + rate * ratio * (g + decay * w)
            w -= v
    return {name: w.tolist() for name, w in weights.items()}


def average_run(decay):
    model = torch.nn.BatchNorm1d(3).double()
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    names = ["weight", "bias", "running_mean", "running_var"]
    for step in range(STEPS):
        state = {name: torch.from_numpy(uniform(f"value.{step}.{name}", 3)) for name in names}
        model.load_state_dict(state, strict=False)
        averaged.update_parameters(model)
    return {name: averaged.module.state_dict()[name].tolist() for name in names}


def main():
    optim = torch.optim
    content = {
        "rates": RATES,
        "adam": torch_run(lambda p: optim.Adam(p)),
        "adam custom": torch_run(lambda p: optim.Adam(p, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.05), max_norm=1.5),
        "adamw": torch_run(lambda p: optim.AdamW(p, weight_decay=0.1)),
        "sgd": torch_run(lambda p: optim.SGD(p, momentum=0.9, nesterov=True, weight_decay=0.01)),
        "lars": lars_run(momentum=0.9, decay=0.05, trust=0.02),
        "average": average_run(decay=0.9),
    }
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    text = json.dumps({"versions": versions, "content": content}) + "\n"
    (Path(__file__).parent / "optimizers.json").write_text(text)


if __name__ == "__main__":
    main()
