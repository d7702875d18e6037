"""The peer of `bench --data`: the same pictures through PyTorch's DataLoader, on request.

Protocol: prints one JSON line when ready ({"ready": ..., "version": ...}); then, for every line "N" on stdin, loads N
batches and prints [seconds, processor seconds] of this process and its workers. A picture is what node-cudnn's is: read,
decoded, cropped at random and resized (antialiased bilinear), mirrored at random, uint8. The workers are started for the
turn and end with it, so that their processor time is known; they load those N batches and no other.
"""

import argparse
import io
import json
import resource
import sys
import time
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2


def open_pillow(path):
    return Image.open(io.BytesIO(Path(path).read_bytes())).convert("RGB")


def open_torchvision(path):
    data = torch.frombuffer(bytearray(Path(path).read_bytes()), dtype=torch.uint8)
    return decode_image(data, ImageReadMode.RGB)


def dataset(a):
    cut = [v2.RandomResizedCrop(a.size, antialias=True), v2.RandomHorizontalFlip()]
    if a.decoder == "pillow":
        return ImageFolder(a.data, v2.Compose([*cut, v2.PILToTensor()]), loader=open_pillow)
    return ImageFolder(a.data, v2.Compose(cut), loader=open_torchvision)


def processor_seconds():
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def load(pictures, batches, a):
    order = torch.randint(0, len(pictures), (batches * a.batch_size,)).tolist()
    begin, used = time.perf_counter(), processor_seconds()
    count = 0
    for images, _ in DataLoader(Subset(pictures, order), a.batch_size, num_workers=a.workers):
        count += len(images)
    assert count == len(order)
    return [time.perf_counter() - begin, processor_seconds() - used]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True, help="a folder with one folder a class")
    p.add_argument("--size", type=int, required=True)
    p.add_argument("--batch-size", type=int, required=True)
    p.add_argument("--workers", type=int, required=True)
    p.add_argument("--decoder", choices=["pillow", "torchvision"], required=True)
    a = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pictures = dataset(a)
    load(pictures, 1, a)
    print(json.dumps({"ready": a.decoder, "version": f"{torch.__version__}, torchvision {torchvision.__version__}"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(load(pictures, int(line), a)), flush=True)


if __name__ == "__main__":
    main()
