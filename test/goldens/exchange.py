"""Weights as torchvision and timm write them, of small networks (a sixteenth of the channels; an eighth and two stages),
and the logits that PyTorch gives with them in float32: writes exchange-{torchvision,timm}.safetensors and exchange.json;
and exchange-timm-config.json, what timm writes beside weights of resnetv2_50.a1h_in1k.

python test/goldens/exchange.py
"""

import json
from pathlib import Path

import safetensors.torch
import timm
import torch
import torchvision
from timm.models._hub import save_config_for_hf
from torch import nn

import generate

HERE = Path(__file__).parent
CLASSES, SHAPE = 5, (2, 3, 40, 40)


class ResNet(torchvision.models.ResNet):
    def __init__(self):
        super().__init__(torchvision.models.resnet.Bottleneck, (1, 1, 1, 1), CLASSES)
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4)
        self.fc = nn.Linear(128, CLASSES)

    def _make_layer(self, block, planes, *args, **options):
        if planes == 64:
            self.inplanes = 4
        return super()._make_layer(block, planes // 16, *args, **options)


def timm_v2():
    options = {"channels": (32, 64), "stem_chs": 8, "num_classes": CLASSES}
    return timm.create_model("resnetv2_50", layers=(2, 1), **options)


def statistics(model):
    """Running statistics other than 0 and 1."""
    for name, buffer in model.named_buffers():
        if buffer.dtype.is_floating_point:
            buffer.copy_(generate.initial(name, tuple(buffer.shape)))


def answers(name, model, dtype):
    statistics(model)
    state = {key: value.to(dtype) if value.dtype.is_floating_point else value for key, value in model.state_dict().items()}
    safetensors.torch.save_file(state, HERE / f"exchange-{name}.safetensors", {"format": "pt"})
    (HERE / f"exchange-{name}.safetensors").chmod(0o644)
    model.load_state_dict(state)
    x = torch.from_numpy(generate.uniform("x", torch.Size(SHAPE).numel())).reshape(SHAPE).float()
    with torch.no_grad():
        return model.eval()(x).reshape(-1).tolist()


def main():
    torch.manual_seed(1)
    content = {"torchvision": answers("torchvision", ResNet(), torch.float16)}
    content["timm"] = answers("timm", timm_v2(), torch.bfloat16)
    versions = generate.VERSIONS | {"torchvision": torchvision.__version__, "timm": timm.__version__}
    (HERE / "exchange.json").write_text(json.dumps({"versions": versions, "shape": SHAPE, "logits": content}) + "\n")
    save_config_for_hf(timm.create_model("resnetv2_50.a1h_in1k"), HERE / "exchange-timm-config.json")


main()
