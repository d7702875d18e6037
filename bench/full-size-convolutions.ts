// Claim: each convolution of the networks, at the size they are made for, agrees with the reference in float64 in its
// three passes: random numbers, a batch of two, float32, errors relative to the largest magnitude of the result.
// Usage: npx tsx bench/full-size-convolutions.ts [--model NAME ...] [--device cpu]
import { parseArgs } from 'node:util';
import { Graph, type HostArray, type Node } from '../lib/graph/index.ts';
import { createModel, modelDefaults, modelNames } from '../lib/models/index.ts';
import { Device } from '../lib/program.ts';
import { convolutionCases } from '../test/ops/conv-cases.ts';
import { drawNumbers, type OpCase } from '../test/ops/operands.ts';
import { runCase } from '../test/ops/run-case.ts';
import type { Size } from '../test/ops/single.ts';
import type { Window } from '../test/ops/windows.ts';
import { Random } from '../test/support/random.ts';
import { writeRecord } from './record.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', multiple: true, default: modelNames() },
    device: { type: 'string', default: 'cpu' },
  },
});
const batchSize = 2;
// Those of test/ops for small ones; longer sums may be off by float32's rounding times the root of their terms.
const bounds = { winograd: 2e-5, direct: 2e-6, rounding: 2 ** -24 };
const passes = ['conv2d', 'conv2d_dgrad', 'conv2d_wgrad'];

const reference = await Device.open('reference');
const device = await Device.open(values.device);
const cases = new Map(values.model.flatMap(convolutionsOf).map((opCase) => [opCase.title, opCase]));
const results = [];
for (const [title, opCase] of cases) {
  results.push({ title, ...(await errorOf(opCase)) });
  const { error, implementation, holds } = results.at(-1) as (typeof results)[number];
  const place = `${results.length}/${cases.size}`;
  process.stdout.write(`${place} ${title}: ${error.toExponential(1)} ${implementation}${holds ? '' : ' IS OFF'}\n`);
}
await reference.close();
await device.close();
const holds = results.every((result) => result.holds);
const record = { device: values.device, models: values.model, batchSize, bounds, holds, results };
process.stdout.write(`record: ${await writeRecord('full-size-convolutions', record)}\n`);
process.exitCode = holds ? 0 : 1;

function convolutionsOf(name: string): OpCase[] {
  const graph = new Graph({ training: true });
  const size = modelDefaults(name).imageSize;
  const channels = name.startsWith('sigmoid-mlp') ? 1 : 3;
  createModel(name).call(graph.input('x', { shape: [batchSize, channels, size, size], format: 'activation' }));
  return graph.nodes.filter(({ op }) => op === 'conv2d').flatMap(passesOf);
}

function passesOf({ inputs, attributes }: Node): OpCase[] {
  const [x, [o, , ...kernel]] = inputs.map(({ shape }) => shape) as unknown as [Size, Size];
  const { stride, padding, dilation, groups } = attributes as Required<Window> & { readonly groups: number };
  return convolutionCases({ x, o, groups, kernel, stride, padding, dilation }).filter(({ nodes }) =>
    passes.includes(nodes[0]?.op as string),
  );
}

async function errorOf(opCase: OpCase) {
  const numbers = drawNumbers(opCase, new Random(opCase.title), false, 'float32');
  const truth = await runCase(reference, opCase, 'float64', [numbers, numbers], 'in place');
  const found = await runCase(device, opCase, 'float32', [numbers, numbers], 'in place');
  const [name] = truth.outputs.keys();
  const error = distance(found.outputs.get(name as string), truth.outputs.get(name as string));
  const implementation = found.implementations.at(-1) as string;
  return { error, implementation, holds: error <= boundOf(opCase, implementation) };
}

function boundOf({ nodes, inputs }: OpCase, implementation: string): number {
  if (implementation.startsWith('winograd')) return bounds.winograd;
  const [, other] = Object.values(inputs).map(({ shape }) => shape) as [Size, Size];
  const [outer, inner, height, width] = other;
  const op = nodes[0]?.op;
  const terms = (op === 'conv2d' ? inner : outer) * height * width;
  return Math.max(bounds.direct, bounds.rounding * Math.sqrt(terms));
}

function distance(found: HostArray | undefined, truth: HostArray | undefined): number {
  let [error, largest] = [0, 0];
  (truth as Float64Array).forEach((value, i) => {
    error = Math.max(error, Math.abs(value - ((found as Float32Array)[i] as number)));
    largest = Math.max(largest, Math.abs(value));
  });
  return error / largest;
}
