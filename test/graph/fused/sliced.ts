// Networks whose branches end in a concat, run in memory that is full of NaN when a step begins.
import { expect } from 'vitest';
import { fusions, type Graph, type HostArray, hostArrayOf } from '../../../lib/graph/index.ts';
import { inceptionV1, inceptionV2 } from '../../../lib/models/index.ts';
import { compile, type Device, type Program, variablesOf } from '../../../lib/program.ts';
import { Random } from '../../support/random.ts';
import { inferenceOf, type Narrow, stepOf } from './narrow.ts';

export interface Sliced extends Narrow {
  /** Nodes that find something in place on the CPU. */
  readonly least: { readonly inference: number; readonly training: number };
}

// At 1/2 nearly all branches are whole blocks of 8 or 16 channels, at 1/8 few are.
export const networks: readonly Sliced[] = [
  {
    name: 'Inception-v2 of a width of 1/2',
    least: { inference: 2, training: 48 },
    side: 33,
    model: () => inceptionV2({ numClasses: 5, widthMultiplier: 1 / 2, dropout: 0 }),
  },
  {
    name: 'Inception-v2 of a width of 1/8',
    least: { inference: 1, training: 5 },
    side: 33,
    model: () => inceptionV2({ numClasses: 5, widthMultiplier: 1 / 8, dropout: 0 }),
  },
  {
    name: 'Inception-v1 of a width of 1/2',
    least: { inference: 1, training: 27 },
    side: 35,
    model: () => inceptionV1({ numClasses: 5, widthMultiplier: 1 / 2, dropout: 0 }),
  },
];

export type Dtype = 'float32' | 'float16' | 'bfloat16';

export const modes = [
  ['inference', inferenceOf],
  ['training', stepOf],
] as const satisfies [string, (network: Narrow, dtype: Dtype) => Graph][];

export interface Outcome {
  /** Nodes that concat or slice and find something in place. */
  readonly inPlace: number;
  /** The logits, and after training all variables. */
  readonly values: ReadonlyMap<string, HostArray>;
}

/** Runs one step with values inside others, and one where every concat copies: both must leave the same bits. */
export async function compareWithCopies(device: Device, graph: () => Graph): Promise<Outcome> {
  const found = await run(device, graph(), fusions());
  const expected = await run(
    device,
    graph(),
    fusions().filter((name) => name !== 'concat'),
  );
  expect(expected.inPlace).toBe(0);
  for (const [name, values] of expected.values) {
    expect(values.some(Number.isNaN), name).toBe(false);
    expect(bytesOf(found.values.get(name) as HostArray).equals(bytesOf(values)), name).toBe(true);
  }
  return found;
}

const bytesOf = (array: HostArray) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** An input that nobody reads: what the step needs takes its place, so that all of that is NaN when the step begins. */
const poisonBytes = 32 << 20;

async function run(device: Device, graph: Graph, fuse: readonly string[]): Promise<Outcome> {
  graph.input('poison', { shape: [poisonBytes / 4] });
  const state = await device.createState(variablesOf(graph), { seed: 1 });
  const program = await compile(graph, { device, state, keep: ['logits'], fuse });
  try {
    expect(program.plan.arenaBytes).toBe(arenaOfInputs(graph));
    await program.step(inputsOf(graph));
    const values = new Map([['logits', await program.fetch('logits')]]);
    for (const { name } of graph.training ? graph.variables : []) values.set(name, await state.read(name));
    return { inPlace: countInPlace(program), values };
  } finally {
    program.close();
    state.close();
  }
}

/** Of all inputs, each with what aligns it. */
function arenaOfInputs({ inputs }: Graph): number {
  const sizeOf = ({ dtype, shape }: Graph['inputs'][number]) =>
    hostArrayOf(dtype).BYTES_PER_ELEMENT * shape.reduce((product, size) => product * size, 1);
  return inputs.reduce((sum, input) => sum + Math.ceil(sizeOf(input) / 256) * 256, 0);
}

function countInPlace({ plan }: Program): number {
  const moving = plan.rows.filter(({ op }) => op === 'concat' || op === 'slice_channels');
  return moving.filter(({ implementation }) => implementation.endsWith('in place')).length;
}

function inputsOf(graph: Graph): Record<string, HostArray> {
  const random = new Random('picture');
  const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
  const given: Record<string, HostArray> = {
    x: normal(graph.find('x').shape.reduce((product, size) => product * size, 1)),
    poison: new Float32Array(poisonBytes / 4).fill(Number.NaN),
  };
  if (!graph.training) return given;
  return { ...given, labels: Int32Array.of(3, 0), learning_rate: Float32Array.of(0.01) };
}
