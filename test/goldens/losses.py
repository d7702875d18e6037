"""PyTorch's sigmoid cross entropy and its gradient in float64: writes sigmoid-cross-entropy.json here.

python test/goldens/losses.py
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F

here = Path(__file__).parent


def case(n, k, smoothing, labels=None):
    logits = (4 * torch.randn(n, k, dtype=torch.float64)).requires_grad_()
    targets = torch.rand(n, k, dtype=torch.float64) if labels is None else F.one_hot(torch.tensor(labels), k).double()
    smooth = targets * (1 - smoothing) + smoothing / 2
    loss = F.binary_cross_entropy_with_logits(logits, smooth)
    loss.backward()
    return {
        "shape": [n, k],
        "smoothing": smoothing,
        "logits": logits.flatten().tolist(),
        **({"targets": targets.flatten().tolist()} if labels is None else {"labels": labels}),
        "loss": loss.item(),
        "gradient": logits.grad.flatten().tolist(),
    }


torch.manual_seed(1)
cases = [case(3, 4, 0.0), case(2, 5, 0.2), case(3, 4, 0.0, [3, 0, 1]), case(4, 3, 0.1, [2, 2, 0, 1]), case(1, 1, 0.0, [0])]
content = {"versions": {"torch": torch.__version__}, "content": cases}
(here / "sigmoid-cross-entropy.json").write_text(json.dumps(content) + "\n")
