"""PyTorch's answers for ResNet-20, both kinds: logits, loss, gradients, running statistics, the change of every
parameter over 10 steps, and a 50-step loss curve with the spread of PyTorch's own runs.

The truth is computed in float64. PyTorch's own float32 and bfloat16 (autocast) are measured against it: their errors
are the reason of the tolerances in resnet20.test.ts. Weights follow a formula that both sides compute (weights.ts),
so that only images and answers are stored. A tensor is stored as its 2-norm, its product with a fixed vector of signs
(which sees every element) and up to 32 evenly spaced elements.

Usage, from the repository root:
    python test/goldens/generate.py batches --cifar FOLDER      writes images.bin, cifar-resnet20{,-preact}.json
    npx tsx test/goldens/export-images.ts curve.bin             the 1,600 images of the curve
    python test/goldens/generate.py curve --images curve.bin    writes loss-curve.json
"""

import argparse
import hashlib
import json
import math
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "bench" / "peers"))
import pytorch_models  # noqa: E402

MODELS = ("cifar-resnet20", "cifar-resnet20-preact")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
BATCH, IMAGES, STEPS, SAMPLES = 8, 32, 10, 32
CURVE_BATCH, CURVE_STEPS = 32, 50
OPTIMIZER = {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
RATE, CURVE_RATE = 0.002, 0.05
VERSIONS = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def hashes(name, count):
    """32-bit hash of (name, index): FNV-1a of the name, then the finaliser of MurmurHash3 (see weights.ts)."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    h = (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B9) + np.uint64(seed)).astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def uniform(name, count):
    """In [-1, 1): multiples of 2^-23, exact in float32."""
    return (hashes(name, count) >> np.uint32(8)).astype(np.float64) / 2**23 - 1


def initial(name, shape):
    u = uniform(name, math.prod(shape))
    if name.endswith("running_var"):
        u = 1 + 0.5 * u
    elif len(shape) == 1:
        u = (1 if name.endswith(".weight") else 0) + 0.125 * u
    else:
        u = u * math.sqrt(6 / math.prod(shape[1:]))
    return torch.from_numpy(u.astype(np.float32)).reshape(shape)


def build(name, dtype):
    model = pytorch_models.build(name)
    state = model.state_dict()
    for key, value in state.items():
        if value.dtype.is_floating_point:
            state[key] = initial(key, tuple(value.shape))
    model.load_state_dict(state)
    return model.to(dtype)


def normalise(images, dtype):
    x = torch.from_numpy(np.array(images)).to(dtype) / 255
    return ((x - torch.tensor(MEAN, dtype=dtype)) / torch.tensor(STD, dtype=dtype)).permute(0, 3, 1, 2).contiguous()


def sample(name, tensor):
    flat = tensor.detach().double().reshape(-1).numpy()
    count = min(SAMPLES, flat.size)
    signs = np.where(hashes("signs:" + name, flat.size) >> np.uint32(31), -1.0, 1.0)
    elements = flat[np.arange(count) * flat.size // count]
    return {"norm": float(np.sqrt((flat * flat).sum())), "signed": float((flat * signs).sum()), "elements": elements.tolist()}


def train(name, images, labels, dtype, layout=torch.contiguous_format, autocast=None):
    """10 steps; the answers of the first one, and what the parameters changed by after the last."""
    model = build(name, dtype).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), RATE, **OPTIMIZER)
    first, losses = {}, []
    for step in range(STEPS):
        at = step * BATCH % IMAGES
        x = normalise(images[at : at + BATCH], dtype).contiguous(memory_format=layout)
        target = torch.from_numpy(labels[at : at + BATCH])
        with torch.autocast("cpu", autocast, enabled=autocast is not None):
            logits = model(x)
        loss = F.cross_entropy(logits.to(dtype), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            first["logits"] = {"logits": logits.detach().clone()}
            first["gradients"] = {key: p.grad.clone() for key, p in model.named_parameters()}
            first["runningStatistics"] = {key: b.clone() for key, b in model.named_buffers() if "running" in key}
        optimizer.step()
    start = dict(build(name, torch.float64).named_parameters())
    first["updates"] = {key: p.detach().double() - start[key].detach() for key, p in model.named_parameters()}
    return first, losses


def relative(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def errors(run, truth):
    """Errors of tensors relative to their 2-norm, the largest and the median of each kind; losses absolute."""
    found = {}
    for kind, tensors in truth[0].items():
        each = sorted(relative(run[0][kind][k], v) for k, v in tensors.items())
        found[kind] = {"worst": each[-1], "median": each[len(each) // 2]}
    return found | {"losses": max(abs(a - b) for a, b in zip(run[1], truth[1]))}


def peer_errors(name, images, labels):
    """PyTorch's own errors, the largest of several runs: the batches in another order, two memory layouts.

    Errors of float32 gradients vary by a factor of 10,000, as the sign of an activation near zero goes either way.
    """
    found = {"float32": [], "bfloat16": []}
    for first in range(0, IMAGES, BATCH):
        rows = np.roll(np.arange(IMAGES), -first)
        truth = train(name, images[rows], labels[rows], torch.float64)
        for layout in (torch.contiguous_format, torch.channels_last):
            run = lambda **options: train(name, images[rows], labels[rows], torch.float32, layout, **options)  # noqa: E731
            found["float32"].append(errors(run(), truth))
            if first == 0:
                found["bfloat16"].append(errors(run(autocast=torch.bfloat16), truth))
    return {dtype: largest(runs) for dtype, runs in found.items()}


def largest(runs):
    if not isinstance(runs[0], dict):
        return max(runs)
    return {key: largest([run[key] for run in runs]) for key in runs[0]}


def goldens(name, images, labels):
    truth = train(name, images, labels, torch.float64)
    peer = peer_errors(name, images, labels)
    answers = {kind: {k: sample(k, v) for k, v in tensors.items()} for kind, tensors in truth[0].items()}
    answers["logits"] = truth[0]["logits"]["logits"].reshape(-1).tolist()
    print(name, "losses", truth[1], "peer errors", json.dumps(peer, indent=1))
    recipe = {"batch": BATCH, "steps": STEPS, "mean": MEAN, "std": STD, "lr": RATE, **OPTIMIZER}
    return {"versions": VERSIONS, "recipe": recipe, "peerErrors": peer, "losses": truth[1], **answers}


def pick_images(folder):
    """One image of every class in turn, decoded by Pillow."""
    from PIL import Image

    classes = sorted(p.name for p in (folder / "train").iterdir())
    chosen = [(i % 10, sorted((folder / "train" / classes[i % 10]).iterdir())[i // 10]) for i in range(IMAGES)]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for _, file in chosen])
    return images, np.asarray([label for label, _ in chosen], np.int64)


def write(name, content):
    text = json.dumps(content, separators=(",", ":")).replace('},"', '},\n"')
    (HERE / name).write_text(text + "\n")


def batches(folder):
    images, labels = pick_images(folder)
    (HERE / "images.bin").write_bytes(images.tobytes())
    for name in MODELS:
        write(f"{name}.json", goldens(name, images, labels) | {"labels": labels.tolist()})


def curve_run(name, images, labels, *, dtype=torch.float32, threads=1, layout=torch.contiguous_format, onednn=True, autocast=None):
    torch.set_num_threads(threads)
    model = build(name, dtype).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), CURVE_RATE, **OPTIMIZER)
    losses = []
    with torch.backends.mkldnn.flags(enabled=onednn):
        for step in range(CURVE_STEPS):
            rows = slice(step * CURVE_BATCH, (step + 1) * CURVE_BATCH)
            x = normalise(images[rows], dtype).contiguous(memory_format=layout)
            with torch.autocast("cpu", autocast, enabled=autocast is not None):
                logits = model(x)
            loss = F.cross_entropy(logits.to(dtype), torch.from_numpy(labels[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def curves(name, images, labels):
    run = lambda **options: curve_run(name, images, labels, **options)  # noqa: E731
    layouts = (torch.contiguous_format, torch.channels_last)
    float32 = [run(threads=t, layout=layout) for t in (1, 2) for layout in layouts]
    float32 += [run(threads=t, onednn=False) for t in (1, 2)]
    bfloat16 = [run(threads=t, layout=layout, autocast=torch.bfloat16) for t in (1, 2) for layout in layouts]
    return {"float64": run(dtype=torch.float64), "float32": float32, "bfloat16": bfloat16}


def curve(file):
    """`file`: uint8 images [1600, 32, 32, 3], then one byte a label."""
    raw = np.frombuffer(file.read_bytes(), np.uint8)
    count = CURVE_BATCH * CURVE_STEPS
    assert raw.size == count * 3073
    images, labels = raw[: count * 3072].reshape(count, 32, 32, 3), raw[count * 3072 :].astype(np.int64)
    recipe = {"batch": CURVE_BATCH, "steps": CURVE_STEPS, "mean": MEAN, "std": STD, "lr": CURVE_RATE, **OPTIMIZER}
    content = {"versions": VERSIONS, "recipe": recipe, "sha256": hashlib.sha256(raw.tobytes()).hexdigest()}
    write("loss-curve.json", content | {name: curves(name, images, labels) for name in MODELS})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["batches", "curve"])
    p.add_argument("--cifar", type=Path, help="ImageFolder of CIFAR-10, with train/<class>/")
    p.add_argument("--images", type=Path, help="what export-images.ts wrote")
    a = p.parse_args()
    batches(a.cifar) if a.what == "batches" else curve(a.images)


if __name__ == "__main__":
    main()
