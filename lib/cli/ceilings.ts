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
/** Milliseconds after which a slow device repeats nothing more. */
const patience = 1000;
/** Several in one program: threads that have just worked are awake. */
const chain = 8;
/** The first that keeps the device busy for so many seconds is measured; the large ones are for GPUs. */
const busy = 2e-3;
const sides = [256, 512, 1024, 2048, 4096, 8192];
const counts = [2 ** 20, 2 ** 23, 2 ** 26, 2 ** 28];

export async function measureCeilings(device: Device, dtype: AmpDtype): Promise<Ceilings> {
  const product = await atWork(device, sides, (side) => matrixProducts(dtype, side), 'linear');
  const copy = await atWork(device, counts, copies, 'relu');
  return {
    gflops: (2 * product.multiplyAdds) / product.seconds / 1e9,
    gbPerSecond: copy.trafficBytes / copy.seconds / 1e9,
  };
}

async function atWork(
  device: Device,
  sizes: readonly number[],
  problem: (size: number) => Graph,
  op: string,
): Promise<ProfileRow> {
  let row: ProfileRow | undefined;
  for (const size of sizes) {
    if (row && row.seconds >= busy) break;
    try {
      row = await fastest(device, problem(size), op);
    } catch (error) {
      if (!row || (error as { code?: string }).code !== 'ERR_OUT_OF_MEMORY') throw error;
      break; // the largest that fits
    }
  }
  return row as ProfileRow;
}

/** Of random numbers: some processors are faster where operands repeat. Results are as large as the operands. */
function matrixProducts(dtype: AmpDtype, side: number): Graph {
  const graph = new Graph();
  const initial = noise(side * side, Math.sqrt(3 / side));
  const operand = (name: string) => {
    const full = graph.variable(name, { shape: [side, side], initial });
    return dtype === 'float32' ? full : cast(full, dtype);
  };
  const weight = operand('weight');
  let x = operand('x');
  for (let i = 0; i < chain; i += 1) x = graph.name(linear(x, weight), `result${i}`);
  return graph;
}

/** Between -largest and largest, by a linear congruential generator (Numerical Recipes, section 7.1). */
function noise(count: number, largest: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (largest * state) / 2 ** 31;
  });
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
  try {
    const program = await compile(graph, { device, state, keep });
    try {
      await program.step(); // loads the kernels
      const rows: ProfileRow[] = [];
      const begin = performance.now();
      for (let i = 0; i < repetitions && performance.now() - begin < patience; i += 1)
        rows.push(...(await program.profile()).filter((row) => row.op === op));
      return rows.reduce((best, row) => (row.seconds < best.seconds ? row : best));
    } finally {
      program.close();
    }
  } finally {
    state.close();
  }
}
