// What the machine can do at best, measured in the same run: no kernel is faster than its arithmetic and its bytes.
import { Graph, type Value } from '../graph/index.ts';
import { cast, fill, linear, relu } from '../ops/index.ts';
import type { ProfileRow } from '../plan.ts';
import { compile, type Device, variablesOf } from '../program.ts';
import type { AmpDtype } from '../train/index.ts';

export interface Ceilings {
  /** Of a large matrix product. */
  readonly gflops: number;
  /** Read and written, of a copy far larger than the caches. */
  readonly gbPerSecond: number;
}

const repetitions = 15;
const sides = { small: 256, large: 768 };
const counts = { small: 2 ** 20, large: 2 ** 24 };
/** A device that needs longer for the small problem is not asked the large one. */
const patience = 0.01;

export async function measureCeilings(device: Device, dtype: AmpDtype): Promise<Ceilings> {
  const trial = await fastest(device, matrixProduct(dtype, sides.small), 'linear');
  const size = trial.seconds > patience ? 'small' : 'large';
  const product = await fastest(device, matrixProduct(dtype, sides[size]), 'linear');
  const copy = await fastest(device, copying(counts[size]), 'relu');
  return {
    gflops: (2 * product.multiplyAdds) / product.seconds / 1e9,
    gbPerSecond: copy.trafficBytes / copy.seconds / 1e9,
  };
}

function matrixProduct(dtype: AmpDtype, side: number): Graph {
  const graph = new Graph();
  const operand = () => {
    const value = ones(graph, [side, side]);
    return dtype === 'float32' ? value : cast(value, dtype);
  };
  graph.name(linear(operand(), operand()), 'result');
  return graph;
}

function copying(count: number): Graph {
  const graph = new Graph();
  const source = graph.name(ones(graph, [count]), 'source');
  graph.name(relu(source), 'result');
  return graph;
}

function ones(graph: Graph, shape: readonly number[]): Value {
  return fill(graph, { shape, dtype: 'float32', format: 'plain' }, 1);
}

async function fastest(device: Device, graph: Graph, op: string): Promise<ProfileRow> {
  const state = await device.createState(variablesOf(graph));
  const keep = graph.has('source') ? ['source', 'result'] : ['result'];
  const program = await compile(graph, { device, state, keep });
  try {
    const rows: ProfileRow[] = [];
    for (let i = 0; i < repetitions; i += 1) rows.push(...(await program.profile()).filter((row) => row.op === op));
    return rows.reduce((best, row) => (row.seconds < best.seconds ? row : best));
  } finally {
    program.close();
    state.close();
  }
}
