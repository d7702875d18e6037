"""What torch.amp.GradScaler does to a linear classifier in float32, gradients that are not finite among them: scale,
counter and weights after every step. Writes loss-scale.json.

Weights and pictures follow the formula of weights.ts; the numbers of SPOILT are planted in the first of the inputs.
Usage: python test/goldens/loss_scale.py
"""

import json
from pathlib import Path

import torch
from generate import uniform
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

STEPS = 12
# Infinity and NaN spoil the loss as well; times a large scale, -1e36 spoils the gradient alone.
SPOILT = {0: "inf", 1: "-1e36", 6: "nan", 10: "-1e36"}
SCALER = {"init_scale": 65536.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 3}
RATE = 0.1


def tensor(name, *shape):
    return torch.from_numpy(uniform(name, torch.Size(shape).numel())).float().reshape(shape)


def run(make, max_norm=None):
    model = torch.nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(tensor("weight", 2, 3))
        model.bias.copy_(tensor("bias", 2))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.75))
    optimizer = make(model.parameters())
    scaler = torch.amp.GradScaler("cpu", **SCALER)
    rows = []
    for step in range(STEPS):
        x = tensor(f"x.{step}", 4, 3)
        if step in SPOILT:
            x[0, 0] = float(SPOILT[step])
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), torch.tensor([0, 1, 1, 0]))).backward()
        scaler.unscale_(optimizer)
        if max_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        before = model.weight.clone()
        scaler.step(optimizer)
        if not torch.equal(before, model.weight):  # an update that was not skipped
            average.update_parameters(model)
        scaler.update()
        state = scaler.state_dict()
        rows.append(
            {
                "scale": state["scale"],
                "good_steps": state["_growth_tracker"],
                "weight": model.weight.flatten().tolist(),
                "bias": model.bias.tolist(),
                "average": average.module.weight.flatten().tolist(),
            }
        )
    return rows


content = {
    "rate": RATE,
    "spoilt": SPOILT,
    "scaler": SCALER,
    "sgd": run(lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True, weight_decay=0.01)),
    "clipped": run(lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9), max_norm=0.25),
    "adam": run(lambda p: torch.optim.Adam(p, lr=RATE)),
}
text = json.dumps({"versions": {"torch": torch.__version__}, "content": content}) + "\n"
(Path(__file__).parent / "loss-scale.json").write_text(text)
