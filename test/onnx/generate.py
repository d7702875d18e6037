"""Writes cases.json and tensors.bin: the ONNX conformance cases (node, and pytorch-converted) of the ops that we have.

Nothing is translated here: the file says what each case is, onnx.test.ts maps it to our ops.
Usage: python test/onnx/generate.py      (packages: onnx, numpy)
"""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

HERE = Path(__file__).parent
NODE = re.compile(
    r"test_(adam|adam_multiple|add|add_bcast|averagepool_2d_\w+|batchnorm_\w+|basic_conv_\w+|concat_\w+|conv_with_\w+"
    r"|flatten_\w+|gemm_\w+|globalaveragepool\w*|lrn\w*|maxpool_2d_(?!uint8)\w+|mul|mul_bcast|mul_example"
    r"|(nesterov_)?momentum\w*|relu|sigmoid\w*|softmax_\w+|tanh\w*"
    r"|sce_(mean|none|sum|NCd1d2d3_sum_weight_high_ii)\w*)"
)
CONVERTED = re.compile(r"test_(Conv2d|BatchNorm2d|AvgPool2d|MaxPool2d|Linear|ReLU|Sigmoid|Softmax|Tanh|softmax)\w*")
SKIPPED = re.compile(r"_expanded|_3d|_4d|test_flatten_axis_dynamic")
LARGEST = 100_000  # elements


class Tensors:
    """Distinct arrays, one after the other; a tensor is named by shape, dtype and byte offset."""

    def __init__(self):
        self.data, self.places = bytearray(), {}

    def add(self, array):
        array = np.asarray(array)
        if array.dtype == np.int64:
            array = array.astype(np.int32)
        if array.dtype not in (np.float32, np.int32):
            return None
        content = array.tobytes()
        if content not in self.places:
            self.places[content] = len(self.data)
            self.data += content
        return {"shape": list(array.shape), "dtype": str(array.dtype), "offset": self.places[content]}


def attributes(node):
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else list(v) if hasattr(v, "__len__") else v for k, v in values.items()}


def folder_data(folder):
    def load(file):
        return numpy_helper.to_array(onnx.TensorProto.FromString(file.read_bytes()))

    place = Path(folder) / "test_data_set_0"
    return [[load(file) for file in sorted(place.glob(f"{kind}_*.pb"))] for kind in ("input", "output")]


def convert(test, tensors):
    model = test.model or onnx.load(Path(test.model_dir) / "model.onnx")
    inputs, outputs = test.data_sets[0] if test.data_sets else folder_data(test.model_dir)
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    given = [i.name for i in model.graph.input if i.name not in constants]
    known = constants | dict(zip(given, inputs))
    nodes = list(model.graph.node)
    if len(nodes) != 1 or any(np.asarray(x).size > LARGEST for x in known.values()):
        return None
    node = nodes[0]
    case = {
        "name": test.name.removeprefix("test_"),
        "op": node.op_type,
        "attributes": attributes(node),
        "inputs": [tensors.add(known[name]) if name else None for name in node.input],
        "outputs": [tensors.add(x) for x in outputs],
        "tolerance": [test.rtol, test.atol],
    }
    return case


def main():
    warnings.simplefilter("ignore")
    tests = [t for t in load_model_tests(kind="node") if NODE.fullmatch(t.name)]
    tests += [t for t in load_model_tests(kind="pytorch-converted") if CONVERTED.fullmatch(t.name)]
    tensors, cases, left_out = Tensors(), [], []
    for test in tests:
        if SKIPPED.search(test.name):
            continue
        case = convert(test, tensors)
        cases.append(case) if case else left_out.append(test.name)
    text = ",\n".join(json.dumps(c, separators=(",", ":")) for c in sorted(cases, key=lambda c: c["name"]))
    versions = json.dumps({"onnx": onnx.__version__, "numpy": np.__version__})
    (HERE / "cases.json").write_text(f'{{"versions":{versions},\n"cases":[\n{text}\n]}}\n')
    (HERE / "tensors.bin").write_bytes(tensors.data)
    print(len(cases), "cases,", len(tensors.data), "bytes; left out as too large or of several nodes:", left_out)


if __name__ == "__main__":
    main()
