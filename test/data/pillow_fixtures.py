"""Writes pillow_fixtures.json: small pictures of several kinds, and what Pillow's convert("RGB") makes of them;
pillow_crops.json: larger JPEGs, boxes of them, and what Pillow's crop and resize make of those; and
pillow_resizes.json: boxes of noise, and the SHA-256 of what Pillow's crop and resize make of them.

Run: python test/data/pillow_fixtures.py
"""

import base64
import hashlib
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


SIZE = 16  # of the resized crops
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# left, top, width, height: shrinking, enlarging, both at once, the whole picture, corners, one pixel.
BOXES = [
    [33, 21, 100, 57],
    [70, 40, 13, 11],
    [5, 60, 120, 9],
    [0, 0, 149, 98],
    [0, 0, 40, 40],
    [101, 58, 48, 40],
    [77, 31, 1, 1],
]


def photo(width, height):
    """Smooth colours, edges, and fine texture that aliases where a filter does not reach far enough."""
    y, x = np.mgrid[0:height, 0:width] / height
    waves = 40 * np.sin(90 * x * y)[..., None] * [1, 0.6, -0.8]
    rgb = np.stack([160 * x, 200 * y, 220 - 90 * x - 60 * y], -1) + waves
    rgb[(x - 0.8) ** 2 + (y - 0.5) ** 2 < 0.06] = [220, 40, 30]
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


PHOTOS = {
    "444": (photo(149, 98), {"quality": 90, "subsampling": 0}, BOXES),
    "422": (photo(149, 98), {"quality": 90, "subsampling": 1}, BOXES[:2]),
    "420": (photo(149, 98), {"quality": 90, "subsampling": 2}, BOXES),
    "progressive": (photo(149, 98), {"quality": 90, "progressive": True}, BOXES[:2]),
    "grey": (photo(149, 98).convert("L"), {"quality": 90}, BOXES[:2]),
    "cmyk": (photo(149, 98).convert("CMYK"), {"quality": 75}, []),
    # Eight, four and twice as large as wanted and more: the DCT may do a part of it.
    "large": (photo(640, 420), {"quality": 60}, [[0, 0, 640, 420], [101, 23, 300, 350], [350, 200, 97, 99]]),
}


def crops(file, boxes):
    image = Image.open(io.BytesIO(file)).convert("RGB")
    for box in boxes:
        left, top, width, height = box
        cut = image.crop((left, top, left + width, top + height))
        for name, kind in FILTERS.items():
            pixels = np.asarray(cut.resize((SIZE, SIZE), kind))
            yield {"box": box, "filter": name, "pixels": encode(pixels.tobytes())}


# Size of the picture, the box, its size after resizing.
RESIZES = [
    ([500, 375], [0, 0, 500, 375], [224, 224]),
    ([500, 375], [133, 71, 250, 188], [224, 224]),
    ([149, 98], [33, 21, 57, 41], [224, 224]),  # enlarged
    ([149, 98], [10, 5, 120, 20], [40, 60]),  # narrower and taller
    ([149, 98], [10, 5, 30, 90], [60, 40]),  # wider and lower: Pillow resizes the rows first
    ([240, 240], [7, 4, 225, 231], [224, 224]),  # the same
    ([240, 240], [7, 4, 225, 226], [224, 224]),  # just not
    ([31, 300], [0, 0, 31, 300], [20, 20]),
    ([300, 31], [0, 0, 300, 31], [20, 20]),
    ([149, 98], [77, 31, 1, 1], [5, 3]),
    ([64, 64], [0, 0, 64, 64], [64, 64]),
    ([3, 20000], [0, 0, 3, 20000], [2, 2]),  # sums of very many pixels
]


def noise(width, height):
    """Pixels that integers make, the same in every language."""
    levels = (np.arange(height * width * 3, dtype=np.int64) * 1103515245 + 12345) % 2**31 // 65536 % 256
    return Image.fromarray(levels.astype(np.uint8).reshape(height, width, 3))


def resizes():
    for (width, height), box, scaled in RESIZES:
        left, top, w, h = box
        cut = noise(width, height).crop((left, top, left + w, top + h))
        for name, kind in FILTERS.items():
            pixels = np.asarray(cut.resize(scaled, kind)).tobytes()
            yield {
                "width": width, "height": height, "box": box, "scaled": scaled, "filter": name,
                "sha256": hashlib.sha256(pixels).hexdigest(),
            }  # fmt: skip


def encode(data):
    return base64.b64encode(data).decode()


def jpeg(image, options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def write(name, content):
    made_by = f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
    text = json.dumps({"madeBy": made_by, **content}, indent=2)
    Path(__file__).with_name(name).write_text(text + "\n")


def main():
    fixtures = []
    for name, (mode, options) in CASES.items():
        file = io.BytesIO()
        scene(mode).save(file, {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[name.split(".")[1]], **options)
        pixels = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
        fixtures.append({"name": name, "file": encode(file.getvalue()), "pixels": encode(pixels.tobytes())})
    write("pillow_fixtures.json", {"height": HEIGHT, "width": WIDTH, "fixtures": fixtures})
    photos = []
    for name, (image, options, boxes) in PHOTOS.items():
        file = jpeg(image, options)
        size = {"width": image.width, "height": image.height}
        photos.append({"name": name, **size, "file": encode(file), "crops": list(crops(file, boxes))})
    write("pillow_crops.json", {"size": SIZE, "photos": photos})
    write("pillow_resizes.json", {"resizes": list(resizes())})


if __name__ == "__main__":
    main()
