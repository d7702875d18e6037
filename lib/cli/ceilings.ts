// What the machine can do at best, measured in the same run: no kernel is faster than its arithmetic and its bytes.
import { Graph } from '../graph/index.ts';
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

const repetitions = 8;
/** Several in one program: threads that have just worked are awake. */
const chain = 8;
const sides = { small: 256, large: 512 };
const counts = { small: 2 ** 20, large: 2 ** 23 };
/** A device that needs longer for the small problem is not asked the large one. */
const patience = 0.02;

export async function measureCeilings(device: Device, dtype: AmpDtype): Promise<Ceilings> {
  const trial = await fastest(device, matrixProducts(dtype, sides.small), 'linear');
  const size = trial.seconds > patience ? 'small' : 'large';
  const product = await fastest(device, matrixProducts(dtype, sides[size]), 'linear');
  const copy = await fastest(device, copies(counts[size]), 'relu');
  return {
    gflops: (2 * product.multiplyAdds) / product.seconds / 1e9,
    gbPerSecond: copy.trafficBytes / copy.seconds / 1e9,
  };
}

function matrixProducts(dtype: AmpDtype, side: number): Graph {
  const graph = new Graph();
  const operand = (value: number) => {
    const full = fill(graph, { shape: [side, side], dtype: 'float32', format: 'plain' }, value);
    return dtype === 'float32' ? full : cast(full, dtype);
  };
  const weight = operand(1 / side);
  let x = operand(1);
  for (let i = 0; i < chain; i += 1) x = graph.name(linear(x, weight), `result${i}`);
  return graph;
}

function copies(count: number): Graph {
  const graph = new Graph();
  let x = graph.name(fill(graph, { shape: [count], dtype: 'float32', format: 'plain' }, 1), 'result');
  for (let i = 0; i < chain; i += 1) x = graph.name(relu(x), `result${i}`);
  return graph;
}

/** Every result is kept, so that none is computed in place. */
async function fastest(device: Device, graph: Graph, op: string): Promise<ProfileRow> {
  const keep = [...graph.names].map(([name]) => name).filter((name) => name.startsWith('result'));
  const state = await device.createState(variablesOf(graph));
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
