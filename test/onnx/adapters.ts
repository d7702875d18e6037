// What an ONNX node is in our ops. An adapter answers with ONNX's outputs, or throws Inexpressible with the reason.
import type { Format, Graph, Value } from '../../lib/graph/index.ts';
import * as ops from '../../lib/ops/index.ts';
import type { OnnxCase, Tensor } from './cases.ts';

export class Inexpressible extends Error {}

type Values = Readonly<Record<string, Value>>;
export type Given = Readonly<Record<string, Tensor & { readonly format?: Format }>>;
/** Runs a program of these inputs on the device under test; resolves with the content of the values that `build` returns. */
export type Run = (inputs: Given, build: (values: Values, graph: Graph) => Value[]) => Promise<number[][]>;
type Adapter = (onnx: OnnxCase, run: Run) => Promise<number[][]>;

const at = <T>(items: readonly T[], i: number) => items[i] as T;
const get = (values: Values, name: string) => values[name] as Value;
const number = ({ attributes }: OnnxCase, name: string, otherwise: number) => Number(attributes[name] ?? otherwise);
const list = ({ attributes }: OnnxCase, name: string, otherwise: readonly number[]) =>
  (attributes[name] ?? otherwise) as readonly number[];
const activation = (tensor: Tensor) => ({ ...tensor, format: 'activation' as const });
const filter = (tensor: Tensor) => ({ ...tensor, format: 'filter' as const });

function sameSize(tensors: readonly Tensor[]): boolean {
  return tensors.every(({ shape }) => String(shape) === String(at(tensors, 0).shape));
}

/** Stride, dilation and padding of a window; SAME_UPPER is our 'same', SAME_LOWER is computed as its specification says. */
function windowOf(onnx: OnnxCase, kernel: readonly number[]) {
  const stride = list(onnx, 'strides', [1, 1]);
  const dilation = list(onnx, 'dilations', [1, 1]);
  const auto = onnx.attributes.auto_pad ?? 'NOTSET';
  if (auto === 'SAME_UPPER') return { stride, dilation, padding: 'same' as const };
  if (auto !== 'SAME_LOWER') return { stride, dilation, padding: list(onnx, 'pads', [0, 0, 0, 0]) };
  const sides = at(onnx.inputs, 0)
    .shape.slice(2)
    .map((size, axis) => {
      const extent = at(dilation, axis) * (at(kernel, axis) - 1) + 1;
      const total = Math.max((Math.ceil(size / at(stride, axis)) - 1) * at(stride, axis) + extent - size, 0);
      const before = Math.ceil(total / 2);
      return [before, total - before] as const;
    });
  return { stride, dilation, padding: [0, 1].flatMap((end) => sides.map((side) => at(side, end))) };
}

function poolOptions(onnx: OnnxCase) {
  const kernel = list(onnx, 'kernel_shape', []);
  const options = { kernel, ...windowOf(onnx, kernel), ceilMode: number(onnx, 'ceil_mode', 0) === 1 };
  if (options.padding !== 'same' && options.padding.some((side, i) => side > at(kernel, i % 2) / 2)) {
    throw new Inexpressible('padding of more than half the window is refused, as in torch');
  }
  return options;
}

const transposed = ({ shape: [rows = 0, columns = 0], data }: Tensor): Tensor => ({
  shape: [columns, rows],
  data: Float32Array.from(data, (_, i) => at([...data], (i % rows) * columns + Math.floor(i / rows))),
});

const scaled = ({ shape, data }: Tensor, factor: number): Tensor => {
  return { shape, data: Float32Array.from(data, (x) => x * factor) };
};

const gemm: Adapter = (onnx, run) => {
  const [a, b, c] = onnx.inputs as [Tensor, Tensor, Tensor?];
  const x = number(onnx, 'transA', 0) ? transposed(a) : a;
  const w = scaled(number(onnx, 'transB', 0) ? b : transposed(b), number(onnx, 'alpha', 1));
  if (!c) return run({ x, w }, (v) => [ops.linear(get(v, 'x'), get(v, 'w'))]);
  const added = scaled(c, number(onnx, 'beta', 1));
  const [n, o] = [at(x.shape, 0), at(w.shape, 0)];
  if (added.data.length === n * o && n > 1) {
    const inputs = { x, w, matrix: { ...added, shape: [n, o] } };
    return run(inputs, (v) => [ops.add(ops.linear(get(v, 'x'), get(v, 'w')), get(v, 'matrix'))]);
  }
  const bias = Float32Array.from({ length: o }, (_, i) => at([...added.data], added.data.length === 1 ? 0 : i));
  const inputs = { x, w, bias: { shape: [o], data: bias } };
  return run(inputs, (v) => [ops.linear(get(v, 'x'), get(v, 'w'), { bias: get(v, 'bias') })]);
};

const batchNorm: Adapter = async (onnx, run) => {
  const [x, weight, bias, mean, variance] = onnx.inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const epsilon = number(onnx, 'epsilon', 1e-5);
  const inputs = { x: activation(x), weight, bias };
  const operands = (v: Values, runningMean: Value, runningVar: Value) => {
    return { weight: get(v, 'weight'), bias: get(v, 'bias'), runningMean, runningVar, epsilon };
  };
  if (number(onnx, 'training_mode', 0) === 0) {
    return run({ ...inputs, mean, variance }, (v) => [
      ops.batchNormInference(get(v, 'x'), operands(v, get(v, 'mean'), get(v, 'variance'))),
    ]);
  }
  const kept = number(onnx, 'momentum', 0.9);
  const [y, runningMean, unbiased] = (await run(inputs, (v, graph) => {
    const running = [mean, variance].map(({ shape, data }, i) =>
      graph.variable(`running${i}`, { shape, initial: data }),
    );
    const options = { ...operands(v, at(running, 0), at(running, 1)), momentum: 1 - kept };
    return [ops.batchNorm(get(v, 'x'), options), ...running];
  })) as [number[], number[], number[]];
  // ONNX keeps the population variance, we keep the unbiased one, as torch does.
  const count = x.data.length / weight.data.length;
  const runningVar = unbiased.map((value, i) => {
    const old = kept * at([...variance.data], i);
    return old + ((value - old) * (count - 1)) / count;
  });
  return [y, runningMean, runningVar];
};

const flatten: Adapter = (onnx, run) => {
  const x = at(onnx.inputs, 0);
  const axis = number(onnx, 'axis', 1);
  if ((axis + x.shape.length) % x.shape.length !== 1) {
    throw new Inexpressible('flatten keeps the batch axis and nothing else');
  }
  return run({ x: activation(x) }, (v) => [ops.flatten(get(v, 'x'))]);
};

const momentum: Adapter = async (onnx, run) => {
  const [rate, count, ...rest] = onnx.inputs as [Tensor, Tensor, ...Tensor[]];
  if (count.data[0] !== 0) throw new Inexpressible('dampening of later updates (beta)');
  const size = rest.length / 3;
  const [xs, gs, vs] = [0, 1, 2].map((i) => rest.slice(i * size, (i + 1) * size)) as [Tensor[], Tensor[], Tensor[]];
  const inputs = { rate: { shape: [1], data: rate.data }, ...Object.fromEntries(gs.map((g, i) => [`g${i}`, g])) };
  return run(inputs, (v, graph) => {
    const variables = (name: string, tensors: readonly Tensor[]) =>
      tensors.map(({ shape, data }, i) => graph.variable(`${name}${i}`, { shape, initial: data }));
    const [parameters, buffers] = [variables('x', xs), variables('v', vs)];
    const options = {
      learningRate: get(v, 'rate'),
      momentum: number(onnx, 'alpha', 0),
      nesterov: onnx.attributes.mode === 'nesterov',
      weightDecay: number(onnx, 'norm_coefficient', 0),
      buffers,
    };
    ops.sgdUpdate(
      parameters,
      gs.map((_, i) => get(v, `g${i}`)),
      options,
    );
    return [...parameters, ...buffers];
  });
};

const adam: Adapter = async (onnx, run) => {
  const [rate, count, ...rest] = onnx.inputs as [Tensor, Tensor, ...Tensor[]];
  if (count.data[0] !== 0) throw new Inexpressible('epsilon beside a corrected second moment');
  const size = rest.length / 4;
  const [xs, gs, ms, vs] = [0, 1, 2, 3].map((i) => rest.slice(i * size, (i + 1) * size)) as [
    ...[Tensor[], Tensor[], Tensor[], Tensor[]],
  ];
  // Update 0 of ONNX corrects no bias: as after so many steps that none is left.
  const step = { shape: [1], data: Int32Array.of(2 ** 31 - 1) };
  const inputs = { rate: { shape: [1], data: rate.data }, step, ...Object.fromEntries(gs.map((g, i) => [`g${i}`, g])) };
  return run(inputs, (v, graph) => {
    const variables = (name: string, tensors: readonly Tensor[]) =>
      tensors.map(({ shape, data }, i) => graph.variable(`${name}${i}`, { shape, initial: data }));
    const parameters = variables('x', xs);
    const options = {
      ...{ learningRate: get(v, 'rate'), step: get(v, 'step'), decoupled: false },
      ...{ firstMoments: variables('m', ms), secondMoments: variables('v', vs) },
      beta1: number(onnx, 'alpha', 0.9),
      beta2: number(onnx, 'beta', 0.999),
      epsilon: number(onnx, 'epsilon', 0),
      weightDecay: number(onnx, 'norm_coefficient', 0),
    };
    ops.adamUpdate(
      parameters,
      gs.map((_, i) => get(v, `g${i}`)),
      options,
    );
    return [...parameters, ...options.firstMoments, ...options.secondMoments];
  });
};

const lossOf = (v: Values) => ops.softmaxCrossEntropy(get(v, 'x'), get(v, 'labels'));

/** The op, and the probabilities that the loss computes on its way: both must agree with the case. */
const softmax: Adapter = async (onnx, run) => {
  const x = at(onnx.inputs, 0);
  const axis = number(onnx, 'axis', -1);
  if (x.shape.length !== 2 || (axis + 2) % 2 !== 1) throw new Inexpressible('softmax is over the rows of a matrix');
  const labels = { shape: [at(x.shape, 0)], data: new Int32Array(at(x.shape, 0)) };
  const [y, probabilities] = await run({ x, labels }, (v) => [ops.softmax(get(v, 'x')), ops.probabilities(lossOf(v))]);
  const { data } = at(onnx.outputs, 0);
  const worst = Math.max(
    ...Array.from(data, (truth, i) => Math.abs(truth - ((probabilities as number[])[i] as number))),
  );
  if (worst > 1e-6) throw new Error(`a probability of the loss is off by ${worst}`);
  return [y as number[]];
};

const concat: Adapter = async (onnx, run) => {
  const rank = at(onnx.inputs, 0).shape.length;
  const axis = (number(onnx, 'axis', 0) + rank) % rank;
  // Any concatenation is one along channels: what stands before the axis is the batch, what stands behind it the map.
  const maps = onnx.inputs.map(({ shape, data }) => {
    const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
    return activation({
      shape: [product(shape.slice(0, axis)), at(shape, axis), 1, product(shape.slice(axis + 1))],
      data,
    });
  });
  return run(Object.fromEntries(maps.map((x, i) => [`x${i}`, x])), (v) => [ops.concat(Object.values(v))]);
};

const localResponseNorm: Adapter = (onnx, run) => {
  const options = {
    size: number(onnx, 'size', 1),
    alpha: number(onnx, 'alpha', 1e-4),
    beta: number(onnx, 'beta', 0.75),
    k: number(onnx, 'bias', 1),
  };
  return run({ x: activation(at(onnx.inputs, 0)) }, (v) => [ops.localResponseNorm(get(v, 'x'), options)]);
};

const crossEntropy: Adapter = async (onnx, run) => {
  const [x, labels, weights] = onnx.inputs as [Tensor, Tensor, Tensor?];
  if (weights) throw new Inexpressible('class weights');
  const ignored = onnx.attributes.ignore_index;
  const targets = Int32Array.from(labels.data, (label) => (label === ignored ? -1 : label));
  const rows = targets.length;
  const [[mean], probabilities] = (await run({ x, labels: { ...labels, data: targets } }, (v) => {
    const loss = lossOf(v);
    return [loss, ops.probabilities(loss)];
  })) as [[number], number[]];
  const reduction = onnx.attributes.reduction ?? 'mean';
  const each = () => singleLosses(x, targets, run);
  const losses = reduction === 'none' ? await each() : [reduction === 'sum' ? mean * rows : mean];
  return onnx.outputs.length === 1 ? [losses] : [losses, probabilities.map(Math.log)];
};

/** Losses one by one: batches of one row. */
async function singleLosses(
  { data, shape: [, classes = 0] }: Tensor,
  targets: Int32Array,
  run: Run,
): Promise<number[]> {
  const losses: number[] = [];
  for (const [i, target] of targets.entries()) {
    const x = { shape: [1, classes], data: data.slice(i * classes, (i + 1) * classes) };
    const [loss] = await run({ x, labels: { shape: [1], data: Int32Array.of(target) } }, (v) => [lossOf(v)]);
    losses.push(at(loss as number[], 0));
  }
  return losses;
}

export const adapters: Readonly<Record<string, Adapter>> = {
  Add: async ({ inputs }, run) => {
    if (!sameSize(inputs)) throw new Inexpressible('add does not broadcast');
    return run({ a: at(inputs, 0), b: at(inputs, 1) }, (v) => [ops.add(get(v, 'a'), get(v, 'b'))]);
  },
  AveragePool: async (onnx, run) => {
    const options = { ...poolOptions(onnx), countIncludePad: number(onnx, 'count_include_pad', 0) === 1 };
    return run({ x: activation(at(onnx.inputs, 0)) }, (v) => [ops.avgPool2d(get(v, 'x'), options)]);
  },
  BatchNormalization: batchNorm,
  Concat: concat,
  Conv: async (onnx, run) => {
    const [x, w, bias] = onnx.inputs as [Tensor, Tensor, Tensor?];
    const options = { ...windowOf(onnx, w.shape.slice(2)), groups: number(onnx, 'group', 1) };
    return run({ x: activation(x), w: filter(w), ...(bias && { bias }) }, (v) => [
      ops.conv2d(get(v, 'x'), get(v, 'w'), { ...options, bias: v.bias }),
    ]);
  },
  Flatten: flatten,
  Gemm: gemm,
  GlobalAveragePool: ({ inputs }, run) =>
    run({ x: activation(at(inputs, 0)) }, (v) => [ops.globalAvgPool(get(v, 'x'))]),
  LRN: localResponseNorm,
  MaxPool: async (onnx, run) => {
    const options = poolOptions(onnx);
    return run({ x: activation(at(onnx.inputs, 0)) }, (v) => [ops.maxPool2d(get(v, 'x'), options)]);
  },
  Adam: adam,
  Momentum: momentum,
  Mul: async ({ inputs }, run) => {
    if (!sameSize(inputs)) throw new Inexpressible('mul does not broadcast');
    return run({ a: at(inputs, 0), b: at(inputs, 1) }, (v) => [ops.mul(get(v, 'a'), get(v, 'b'))]);
  },
  Relu: ({ inputs }, run) => run({ x: at(inputs, 0) }, (v) => [ops.relu(get(v, 'x'))]),
  Sigmoid: ({ inputs }, run) => run({ x: at(inputs, 0) }, (v) => [ops.sigmoid(get(v, 'x'))]),
  Softmax: softmax,
  SoftmaxCrossEntropyLoss: crossEntropy,
  Tanh: ({ inputs }, run) => run({ x: at(inputs, 0) }, (v) => [ops.tanh(get(v, 'x'))]),
};
