"""The peer of `bench`: training steps of the same network in PyTorch, on request.

Protocol: prints one JSON line when warm ({"ready": ..., versions}); then, for every line "N" on stdin, runs N steps and
prints their milliseconds as a JSON array, and for the line "memory" the most that this process held, before it built the
model and since: resident on a CPU, reserved by PyTorch's allocator on CUDA. A step is what node-cudnn's step is: gather a
batch out of resident uint8 images, crop, flip, normalise, forward, loss, top-1 count, backward, SGD Nesterov with weight
decay; in float16 under a GradScaler. On CUDA the compiled variant is tuned (max-autotune) and replays CUDA graphs.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent))
import pytorch_models  # noqa: E402


def augment(images, generator, padding=4):
    n, h, w, _ = images.shape
    draw = partial(torch.randint, size=(n, 1), generator=generator, device=images.device)
    count = partial(torch.arange, device=images.device)
    padded = F.pad(images, (0, 0, padding, padding, padding, padding))
    top, left, flip = draw(0, 2 * padding + 1), draw(0, 2 * padding + 1), draw(0, 2).bool()
    rows = top + count(h)
    columns = left + torch.where(flip, count(w - 1, -1, -1), count(w))
    return padded[count(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def configure(a):
    torch.set_num_threads(a.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = a.tf32
    torch.backends.cudnn.benchmark = not a.deterministic
    if a.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


class Step:
    def __init__(self, a):
        torch.manual_seed(0)
        self.device = torch.device(a.device)
        self.generator = torch.Generator(self.device).manual_seed(0)
        self.amp = a.amp_dtype != "float32"
        self.half = torch.float16 if a.amp_dtype == "float16" else torch.bfloat16
        self.batch = a.batch_size
        draw = partial(torch.randint, device=self.device)
        self.images = draw(0, 256, (2 * self.batch, a.image_size, a.image_size, 3), dtype=torch.uint8)
        self.labels = draw(0, 10, (2 * self.batch,))
        cuda = self.device.type == "cuda"
        self.model = pytorch_models.build(a.model).to(self.device, memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True, foreach=not cuda, fused=cuda
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=a.amp_dtype == "float16")
        compiled = a.variant == "compile"
        self.graphs = cuda and compiled
        mode = "max-autotune" if cuda else "default"
        self.forward = torch.compile(self.loss, mode=mode) if compiled else self.loss

    def loss(self, x, target):
        with torch.autocast(self.device.type, self.half, enabled=self.amp):
            logits = self.model(x)
        return F.cross_entropy(logits.float(), target), logits

    def __call__(self):
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        index = torch.randint(0, len(self.images), (self.batch,), generator=self.generator, device=self.device)
        pixels = augment(self.images[index], self.generator).to(torch.float32)
        x = pixels.div_(255).sub_(0.5).div_(0.25).permute(0, 3, 1, 2)
        target = self.labels[index]
        loss, logits = self.forward(x, target)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item(), int((logits.argmax(1) == target).sum())


def milliseconds(step):
    begin = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - begin)


def peak_bytes(device):
    if device.startswith("cuda"):
        return torch.cuda.max_memory_reserved()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--batch-size", type=int, required=True)
    p.add_argument("--image-size", type=int, required=True)
    p.add_argument("--amp-dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    p.add_argument("--variant", choices=["eager", "compile"], required=True)
    p.add_argument("--device", default="cpu", help="cpu, cuda:0 ...")
    p.add_argument("--tf32", action="store_true", help="CUDA: float32 products may round to tf32")
    p.add_argument("--deterministic", action="store_true")
    p.add_argument("--threads", type=int, required=True)
    p.add_argument("--warm-up", type=int, default=10)
    a = p.parse_args()
    configure(a)
    start = peak_bytes(a.device)
    step = Step(a)
    for _ in range(a.warm_up):
        step()
    ready = {"ready": a.variant, "version": torch.__version__, "python": platform.python_version()}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            answer = {"startBytes": start, "peakBytes": peak_bytes(a.device)}
        else:
            answer = [milliseconds(step) for _ in range(int(line))]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
