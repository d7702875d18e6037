"""Writes torchvision_fixtures.json: what torchvision's transforms do, for lib/data/transforms.ts.

crops        mean and standard deviation of RandomResizedCrop's boxes, over many draws
evaluation   sizes and offsets of Resize and CenterCrop
evaluated    the pixels of some photographs, and the SHA-256 of those of noise
colour       what ImageEnhance makes of a few pixels

Run: python test/data/torchvision_fixtures.py
"""

import base64
import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, ImageEnhance
from pillow_fixtures import noise
from torchvision import transforms
from torchvision.transforms import InterpolationMode, functional

HERE = Path(__file__).parent
DRAWS = 40000
ENHANCERS = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}


def encode(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def crops(width, height, scale, ratio):
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    boxes = [transforms.RandomResizedCrop.get_params(image, scale, ratio) for _ in range(DRAWS)]
    top, left, h, w = np.array(boxes, dtype=np.float64).T
    figures = {"left": left, "top": top, "width": w, "height": h, "share": w * h / (width * height), "aspect": np.log(w / h)}
    spread = {name: [float(values.mean()), float(values.std())] for name, values in figures.items()}
    return {"width": width, "height": height, "scale": scale, "ratio": ratio, "draws": DRAWS, "figures": spread}


def evaluation(width, height, size, crop_pct):
    """Where the crop lies, read off pictures of coordinates."""
    resize = transforms.Resize(math.floor(size / crop_pct))
    resized = functional.get_dimensions(resize(torch.zeros(1, height, width)))[1:]
    y, x = torch.meshgrid(*(torch.arange(n) for n in resized), indexing="ij")
    corner = transforms.CenterCrop(size)(torch.stack([x, y]))[:, 0, 0]
    return {
        "width": width, "height": height, "size": size, "cropPct": crop_pct,
        "scaled": [resized[1], resized[0]], "offset": corner.tolist(),
    }  # fmt: skip


def evaluated(size, crop_pct):
    photos = json.loads((HERE / "pillow_crops.json").read_text())["photos"]
    for photo in photos:
        if photo["name"] not in ("444", "420"):
            continue
        image = Image.open(io.BytesIO(base64.b64decode(photo["file"]))).convert("RGB")
        for mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC):
            resize = transforms.Resize(math.floor(size / crop_pct), interpolation=mode)
            pixels = np.asarray(transforms.CenterCrop(size)(resize(image)))
            yield {
                "name": photo["name"], "interpolation": mode.value, "size": size, "cropPct": crop_pct,
                "pixels": encode(pixels),
            }  # fmt: skip


def evaluated_noise(width, height, size, crop_pct):
    for mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC):
        resize = transforms.Resize(math.floor(size / crop_pct), interpolation=mode)
        pixels = np.asarray(transforms.CenterCrop(size)(resize(noise(width, height))))
        yield {
            "width": width, "height": height, "size": size, "cropPct": crop_pct, "interpolation": mode.value,
            "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        }  # fmt: skip


def colour(steps):
    pixels = np.random.default_rng(1).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    for name, factor in steps:
        image = ENHANCERS[name](image).enhance(factor)
    return {"width": 7, "height": 6, "pixels": encode(pixels), "adjust": steps, "adjusted": encode(np.asarray(image))}


def main():
    record = {
        "madeBy": f"torchvision {torchvision.__version__}",
        "crops": [
            crops(500, 375, [0.08, 1.0], [3 / 4, 4 / 3]),
            crops(40, 300, [0.5, 1.0], [3 / 4, 4 / 3]),
            crops(333, 333, [0.3, 0.4], [0.5, 2.0]),
        ],
        "evaluation": [
            evaluation(*case)
            for case in [(500, 375, 224, 0.875), (375, 500, 224, 0.875), (224, 224, 224, 1.0), (333, 501, 95, 0.9),
                         (1000, 37, 32, 0.875), (641, 480, 288, 0.95), (479, 640, 161, 0.965)]
        ],
        "evaluated": list(evaluated(32, 0.875)),
        "evaluatedNoise": [
            result
            for case in [(500, 375, 224, 0.875), (375, 500, 224, 0.875), (149, 98, 224, 0.95), (300, 901, 224, 0.875)]
            for result in evaluated_noise(*case)
        ],
        "colour": [
            colour([["brightness", 1.3]]), colour([["brightness", 0.4]]), colour([["contrast", 0.6]]),
            colour([["contrast", 1.7]]), colour([["saturation", 1.5]]), colour([["saturation", 0.25]]),
            colour([["contrast", 1.2], ["saturation", 0.6], ["brightness", 1.1]]),
        ],
    }  # fmt: skip
    (HERE / "torchvision_fixtures.json").write_text(json.dumps(record, indent=2) + "\n")


main()
