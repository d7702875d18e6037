"""Writes pillow_fixtures.json: small pictures of several kinds, and what Pillow's convert("RGB") makes of them.

Run: python test/data/pillow_fixtures.py
"""

import base64
import io
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

HEIGHT, WIDTH = 13, 19


def scene(mode):
    """Smooth colours with an edge and some noise, odd-sized."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(0).integers(0, 24, (HEIGHT, WIDTH, 3))
    rgb = np.stack([x * 12, y * 18, 255 - x * 6 - y * 6], -1) + noise
    rgb[(x - 8) ** 2 + (y - 6) ** 2 < 16] = [220, 40, 30]
    image = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    if mode == "RGBA":
        image.putalpha(Image.fromarray((x * 13).astype(np.uint8)))
        return image
    return image.convert(mode)


CASES = {
    "rgb420.jpg": ("RGB", {"quality": 75, "subsampling": 2}),
    "rgb444.jpg": ("RGB", {"quality": 90, "subsampling": 0}),
    "progressive.jpg": ("RGB", {"quality": 75, "progressive": True}),
    "grey.jpg": ("L", {"quality": 75}),
    "rgb.png": ("RGB", {}),
    "alpha.png": ("RGBA", {}),
    "grey.png": ("L", {}),
    "palette.png": ("P", {}),
    "lossless.webp": ("RGB", {"lossless": True}),
    "lossy.webp": ("RGB", {"quality": 80}),
}


def encode(data):
    return base64.b64encode(data).decode()


def main():
    fixtures = []
    for name, (mode, options) in CASES.items():
        file = io.BytesIO()
        scene(mode).save(file, {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[name.split(".")[1]], **options)
        pixels = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
        fixtures.append({"name": name, "file": encode(file.getvalue()), "pixels": encode(pixels.tobytes())})
    record = {
        "madeBy": f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}",
        "height": HEIGHT,
        "width": WIDTH,
        "fixtures": fixtures,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")


main()
