"""The peer of `bench`: training steps of the same network in PyTorch, on request.

Protocol: prints one JSON line when warm ({"ready": ..., versions}); then, for every line "N" on stdin, runs N steps and
prints their milliseconds as a JSON array, and for the line "memory" the most that this process held resident, before it
built the model and since. A step is what node-cudnn's step is: gather a batch out of resident uint8
images, crop, flip, normalise, forward, loss, top-1 count, backward, SGD Nesterov with weight decay.
"""

import argparse
import json
import platform
import resource
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent))
import pytorch_models  # noqa: E402


def augment(images, generator, padding=4):
    n, h, w, _ = images.shape
    padded = F.pad(images, (0, 0, padding, padding, padding, padding))
    top = torch.randint(0, 2 * padding + 1, (n, 1), generator=generator)
    left = torch.randint(0, 2 * padding + 1, (n, 1), generator=generator)
    flip = torch.randint(0, 2, (n, 1), generator=generator).bool()
    rows = top + torch.arange(h)
    columns = left + torch.where(flip, torch.arange(w - 1, -1, -1), torch.arange(w))
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


class Step:
    def __init__(self, a):
        torch.manual_seed(0)
        self.generator = torch.Generator().manual_seed(0)
        self.amp = a.amp_dtype == "bfloat16"
        count = 2 * a.batch_size
        self.images = torch.randint(0, 256, (count, a.image_size, a.image_size, 3), dtype=torch.uint8)
        self.labels = torch.randint(0, 10, (count,))
        self.batch = a.batch_size
        self.model = pytorch_models.build(a.model).to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True, foreach=True
        )
        self.forward = torch.compile(self.loss) if a.variant == "compile" else self.loss

    def loss(self, x, target):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.amp):
            logits = self.model(x)
        return F.cross_entropy(logits.float(), target), logits

    def __call__(self):
        index = torch.randint(0, len(self.images), (self.batch,), generator=self.generator)
        pixels = augment(self.images[index], self.generator).to(torch.float32)
        x = pixels.div_(255).sub_(0.5).div_(0.25).permute(0, 3, 1, 2)
        target = self.labels[index]
        loss, logits = self.forward(x, target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item(), int((logits.argmax(1) == target).sum())


def milliseconds(step):
    begin = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - begin)


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--batch-size", type=int, required=True)
    p.add_argument("--image-size", type=int, required=True)
    p.add_argument("--amp-dtype", choices=["float32", "bfloat16"], default="float32")
    p.add_argument("--variant", choices=["eager", "compile"], required=True)
    p.add_argument("--threads", type=int, required=True)
    p.add_argument("--warm-up", type=int, default=10)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    start = peak_bytes()
    step = Step(a)
    for _ in range(a.warm_up):
        step()
    ready = {"ready": a.variant, "version": torch.__version__, "python": platform.python_version()}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        memory = line.strip() == "memory"
        answer = {"startBytes": start, "peakBytes": peak_bytes()} if memory else [milliseconds(step) for _ in range(int(line))]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
