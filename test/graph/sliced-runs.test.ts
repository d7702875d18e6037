// Values that lie inside others: whole networks leave the same bits as where every concat copies, in memory that is full
// of NaN when a step begins.
import { describe, expect, it } from 'vitest';
import { fusions, type Graph, type HostArray, hostArrayOf } from '../../lib/graph/index.ts';
import { inceptionV1, inceptionV2 } from '../../lib/models/index.ts';
import { compile, type Device, type Program, variablesOf } from '../../lib/program.ts';
import { openDevices } from '../support/devices.ts';
import { Random } from '../support/random.ts';
import { inferenceOf, type Narrow, stepOf } from './fused/narrow.ts';

const devices = openDevices();
const copying = fusions().filter((name) => name !== 'concat');

interface Sliced extends Narrow {
  /** Nodes that find something in place. */
  readonly least: { readonly inference: number; readonly training: number };
}

// At 1/2 nearly all branches are whole blocks of 8 or 16 channels, at 1/8 few are.
const networks: readonly Sliced[] = [
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

interface Outcome {
  /** Of the nodes that concat and that slice. */
  readonly implementations: readonly string[];
  /** The logits, and after training all variables. */
  readonly values: ReadonlyMap<string, HostArray>;
}

/** An input that nobody reads: what the step needs takes its place, so that all of that is NaN when the step begins. */
const poisonBytes = 32 << 20;

async function run(device: Device, graph: Graph, fuse: readonly string[]): Promise<Outcome> {
  graph.input('poison', { shape: [poisonBytes / 4] });
  const state = await device.createState(variablesOf(graph), { seed: 1 });
  const program = await compile(graph, { device, state, keep: ['logits'], fuse });
  try {
    expect(program.plan.arenaBytes - arenaOfInputs(graph)).toBe(0);
    await program.step(inputsOf(graph));
    const values = new Map([['logits', await program.fetch('logits')]]);
    for (const { name } of graph.training ? graph.variables : []) values.set(name, await state.read(name));
    return { implementations: implementationsOf(program), values };
  } finally {
    program.close();
    state.close();
  }
}

/** Of all inputs, each with what aligns it. */
function arenaOfInputs({ inputs }: Graph): number {
  const bytesOf = ({ dtype, shape }: Graph['inputs'][number]) =>
    hostArrayOf(dtype).BYTES_PER_ELEMENT * shape.reduce((product, size) => product * size, 1);
  return inputs.reduce((sum, input) => sum + Math.ceil(bytesOf(input) / 256) * 256, 0);
}

function implementationsOf({ plan }: Program): string[] {
  const rows = plan.rows.filter(({ op }) => op === 'concat' || op === 'slice_channels');
  return rows.map(({ implementation }) => implementation);
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

const inPlace = ({ implementations }: Outcome) => implementations.filter((name) => /in place$/.test(name)).length;
const bytesOf = (array: HostArray) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

describe.each(networks.map((network) => [network.name, network] as const))('%s', (_, network) => {
  it.each([
    ['inference', () => inferenceOf(network, 'float32')],
    ['training', () => stepOf(network, 'float32')],
  ] as const)('in %s', async (mode, graph) => {
    const found = await run(devices.cpu, graph(), fusions());
    const expected = await run(devices.cpu, graph(), copying);
    expect(inPlace(expected)).toBe(0);
    expect(inPlace(found)).toBeGreaterThanOrEqual(network.least[mode]);
    for (const [name, values] of expected.values) {
      expect(values.some(Number.isNaN), name).toBe(false);
      expect(bytesOf(found.values.get(name) as HostArray).equals(bytesOf(values)), name).toBe(true);
    }
  });
});
