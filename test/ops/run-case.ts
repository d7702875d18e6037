// Runs one case on one device, in memory that was dirtied before.
import { Graph, type HostArray, hostArrayOf, typeOf, type Value } from '../../lib/graph/index.ts';
import { compile, type Device, type Program, planMemory, variablesOf } from '../../lib/program.ts';
import { type Dtype, emitCase, type Numbers, type OpCase } from './operands.ts';

export interface Result {
  readonly outputs: ReadonlyMap<string, HostArray>;
  readonly implementations: readonly string[];
}

/** Whether outputs lie in memory that was filled with NaN, or take the place of inputs where the kernel allows it. */
export type Memory = 'poisoned' | 'in place';

/**
 * Runs the case twice, on `other` and then on `numbers`, and returns what the second step left. Memory is poisoned at
 * the start of each step: an element that a kernel forgets to write cannot look right.
 */
export async function runCase(
  device: Device,
  opCase: OpCase,
  dtype: Dtype,
  [other, numbers]: readonly [Numbers, Numbers],
  memory: Memory,
): Promise<Result> {
  const graph = emptyGraph(dtype);
  const bytes = memory === 'poisoned' ? await neededBytes(device, opCase, dtype) : 0;
  if (memory === 'poisoned') poison(graph, bytes);
  const { inputs, outputs } = emitCase(graph, opCase, dtype);
  const state = await device.createState(variablesOf(graph));
  const temporaries = temporariesOf(outputs);
  const keep = memory === 'poisoned' ? ['poison', ...Object.keys(inputs), ...temporaries] : temporaries;
  const program = await compile(graph, { device, state, keep, fuse: false });
  try {
    if (memory === 'poisoned') checkPoisoned(program, bytes);
    for (const content of [other, numbers]) {
      for (const { name } of graph.variables) {
        await state.write(name, toHost(graph.find(name), content.get(name) as Float64Array));
      }
      await program.step(fillInputs(inputs, content));
    }
    const found = new Map<string, HostArray>();
    for (const name of Object.keys(outputs)) found.set(name, await program.fetch(name));
    return { outputs: found, implementations: program.plan.rows.map(({ implementation }) => implementation) };
  } finally {
    program.close();
    state.close();
  }
}

function fillInputs(inputs: Readonly<Record<string, Value>>, content: Numbers): Record<string, HostArray> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, toHost(value, content.get(name) as Float64Array)]),
  );
}

function toHost(value: Value, numbers: Float64Array): HostArray {
  return hostArrayOf(value.dtype).from(numbers);
}

function emptyGraph(dtype: Dtype): Graph {
  return new Graph({ dtype: dtype === 'float64' ? 'float64' : 'float32', training: true });
}

function temporariesOf(outputs: Readonly<Record<string, Value>>): string[] {
  return Object.keys(outputs).filter((name) => outputs[name]?.storage === 'temporary');
}

/** Room for all that the case reads and writes, and for what its kernels need. */
async function neededBytes(device: Device, opCase: OpCase, dtype: Dtype): Promise<number> {
  const graph = emptyGraph(dtype);
  const { inputs, outputs } = emitCase(graph, opCase, dtype);
  const state = await device.createState(variablesOf(graph));
  try {
    const keep = [...Object.keys(inputs), ...temporariesOf(outputs)];
    const { bytes } = await planMemory(graph, { device, state, keep, fuse: false });
    return Math.max(bytes, 4); // where all are variables, there is nothing to poison
  } finally {
    state.close();
  }
}

/** A value of NaN that is dead when the case begins: the planner gives its place to outputs and workspaces. */
function poison(graph: Graph, bytes: number): void {
  const type = { shape: [Math.ceil(bytes / 4), 1], dtype: graph.dtype, format: 'plain' } as const;
  const [nan] = graph.emit('fill', [], [type], { value: Number.NaN }) as [Value];
  const [sum] = graph.emit('bias_grad', [nan], [{ ...typeOf(nan), shape: [1] }]) as [Value];
  graph.name(sum, 'poison');
}

function checkPoisoned({ plan }: Program, bytes: number): void {
  const [{ offset: begin = 0 } = {}, , ...others] = plan.rows;
  for (const { op, offset } of others) {
    if (offset !== undefined && (offset < begin || offset >= begin + bytes)) {
      throw new Error(`the output of ${op} lies outside the poisoned memory`);
    }
  }
}
