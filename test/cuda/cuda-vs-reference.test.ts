// Every kernel of the CUDA back end against the reference, on whatever stands for `cuda:0`: a GPU, or the simulation
// (`.ci/run simulate`). Where there is neither, the cases are skipped.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../lib/graph/index.ts';
import { gather } from '../../lib/ops/index.ts';
import { compile, Device } from '../../lib/program.ts';
import { cases } from '../ops/cases.ts';
import { compareCase, titled } from '../ops/compare.ts';
import { type Dtype, type OpCase, usesF } from '../ops/operands.ts';
import { presence } from '../support/devices.ts';
import { rounds } from './rounds.ts';

const { available, reason } = await presence('cuda');

let reference: Device;
let cuda: Device | undefined;

beforeAll(async () => {
  reference = await Device.open('reference');
  if (available) cuda = await Device.open('cuda:0');
});
afterAll(async () => {
  await reference.close();
  await cuda?.close();
});

const dtypes: readonly Dtype[] = ['float32', 'bfloat16', 'float16'];

describe.each(dtypes)('cuda against reference, %s', (dtype) => {
  const list = cases.filter((opCase) => dtype === 'float32' || usesF(opCase));
  it.for(titled(list))('%s', ([, opCase], { skip }) => {
    if (!cuda) return skip(reason ?? 'there is no CUDA back end');
    const missing = lacking(cuda, opCase);
    if (missing) skip(`the device cuda lacks ${missing}`);
    return compareCase({ device: cuda, reference, rounds }, opCase, dtype);
  });
});

it('names an index out of range, and goes on', async ({ skip }) => {
  if (!cuda) return skip(reason ?? 'there is no CUDA back end');
  const graph = new Graph();
  const table = graph.input('table', { shape: [3, 5], dtype: 'float32', format: 'plain' });
  const index = graph.input('index', { shape: [2], dtype: 'int32', format: 'plain' });
  graph.name(gather(table, index), 'rows');
  const state = await cuda.createState([]);
  const program = await compile(graph, { device: cuda, state, keep: ['rows'] });
  const content = Float32Array.from({ length: 15 }, (_, i) => i);
  const wrong = program.step({ table: content, index: Int32Array.of(2, 7) });
  await expect(wrong).rejects.toThrow('gather: index[1] is 7, must lie in 0 .. 2');
  await program.step({ table: content, index: Int32Array.of(2, 0) });
  expect(Array.from(await program.fetch('rows'))).toEqual([10, 11, 12, 13, 14, 0, 1, 2, 3, 4]);
  program.close();
  state.close();
});

function lacking(device: Device, { nodes }: OpCase): string | undefined {
  return nodes.map(({ op }) => op).find((op) => !device.features.has(`op:${op}`));
}
