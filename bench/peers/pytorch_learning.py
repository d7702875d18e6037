"""The peer of the learning record: one training run in PyTorch on the files and the recipe that node-cudnn uses.

Recipe: 4-pixel zero padding, random crop, random flip, per-channel normalisation by training statistics,
SGD Nesterov 0.9, weight decay on every parameter, one-cycle (cosine, 30 % warm-up, div 25, final div 1e4),
incomplete last batch dropped. Writes one JSON line an epoch, the last line being the result.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent))
import pytorch_models  # noqa: E402


def load_folder(root):
    classes = sorted(p.name for p in root.iterdir() if p.is_dir())
    images, labels = [], []
    for label, name in enumerate(classes):
        for file in sorted((root / name).iterdir()):
            images.append(np.asarray(Image.open(file).convert("RGB")))
            labels.append(label)
    return np.stack(images), np.asarray(labels, np.int64)


def load(root, split, cache):
    file = cache / f"{split}.npz"
    if not file.exists():
        images, labels = load_folder(root / split)
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, images=images, labels=labels)
    stored = np.load(file)
    return torch.from_numpy(stored["images"]), torch.from_numpy(stored["labels"])


def augment(images, generator):
    """uint8 [N,H,W,C] -> uint8 [N,H,W,C]: crop out of a 4-pixel zero frame, and flip."""
    n, h, w, _ = images.shape
    padded = F.pad(images, (0, 0, 4, 4, 4, 4))
    dy = torch.randint(0, 9, (n, 1), generator=generator)
    dx = torch.randint(0, 9, (n, 1), generator=generator)
    flip = torch.randint(0, 2, (n, 1), generator=generator).bool()
    rows = dy + torch.arange(h)
    columns = dx + torch.where(flip, torch.arange(w - 1, -1, -1), torch.arange(w))
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--cache", type=Path, required=True)
    p.add_argument("--model", default="cifar-resnet20")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--lr", type=float, default=0.2)
    p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--output", type=Path, required=True)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    generator = torch.Generator().manual_seed(a.seed)

    train, train_labels = load(a.data, "train", a.cache)
    test, test_labels = load(a.data, "test", a.cache)
    pixels = train.to(torch.float32).div_(255)
    mean, std = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2), correction=0)
    del pixels

    def normalise(images):
        x = images.to(torch.float32).div_(255).sub_(mean).div_(std)
        return x.permute(0, 3, 1, 2)  # logical NCHW over NHWC memory: channels_last

    model = pytorch_models.build(a.model, int(train_labels.max()) + 1).to(memory_format=torch.channels_last)
    steps = len(train) // a.batch_size
    optimizer = torch.optim.SGD(model.parameters(), a.lr, 0.9, weight_decay=a.weight_decay, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, a.lr, total_steps=a.epochs * steps, cycle_momentum=False
    )
    a.output.parent.mkdir(parents=True, exist_ok=True)
    with a.output.open("w") as out:
        head = vars(a) | {"data": a.data.name, "torch": torch.__version__, "machine": platform.processor() or platform.machine()}
        out.write(json.dumps({"config": {k: v if isinstance(v, (int, float)) else str(v) for k, v in head.items() if k not in ("cache", "output")}}) + "\n")
        for epoch in range(a.epochs):
            begin, total, correct = time.time(), 0.0, 0
            model.train()
            order = torch.randperm(len(train), generator=generator)
            for step in range(steps):
                index = order[step * a.batch_size : (step + 1) * a.batch_size]
                logits = model(normalise(augment(train[index], generator)))
                loss = F.cross_entropy(logits, train_labels[index])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
                correct += int((logits.argmax(1) == train_labels[index]).sum())
            seconds = time.time() - begin
            model.eval()
            hits, test_loss = 0, 0.0
            with torch.no_grad():
                for at in range(0, len(test), 500):
                    logits = model(normalise(test[at : at + 500]))
                    target = test_labels[at : at + 500]
                    test_loss += F.cross_entropy(logits, target, reduction="sum").item()
                    hits += int((logits.argmax(1) == target).sum())
            row = {
                "epoch": epoch + 1,
                "trainLoss": total / steps,
                "trainAccuracy": correct / (steps * a.batch_size),
                "testLoss": test_loss / len(test),
                "testAccuracy": hits / len(test),
                "imagesPerSecond": steps * a.batch_size / seconds,
                "seconds": seconds,
            }
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(row, flush=True)


if __name__ == "__main__":
    main()
