// What a training step is planned to need, and what the process then holds for it.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { stepInputs, type TrainingParts, trainingParts } from '../lib/cli/training-program.ts';
import { modelDefaults } from '../lib/models/index.ts';
import { compile, Device, planMemory, variablesOf } from '../lib/program.ts';

export interface MemoryOptions {
  readonly model: string;
  readonly batchSize: number;
  /** Default: what the network is made for. */
  readonly imageSize?: number;
  readonly device?: string;
}

export interface MemoryResult {
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
  /** Parameters, their momentum, running statistics and two batches of pictures. */
  readonly stateBytes: number;
  /** Of the step, before it is compiled: temporaries and workspace. */
  readonly plannedBytes: number;
  /** What the device took for the step. */
  readonly heldBytes: number;
  /** What the process grew by, JavaScript's own memory left out, for state, step, and the code of its kernels. */
  readonly residentBytes: number;
}

type Measured = Pick<MemoryResult, 'stateBytes' | 'plannedBytes' | 'heldBytes'> & { readonly native: number };

/** Plans a network, then runs two steps of it, one thread wide. */
export async function measureMemory(options: MemoryOptions): Promise<MemoryResult> {
  const { model, batchSize, imageSize = modelDefaults(model).imageSize, device: name = 'cpu' } = options;
  const device = await Device.open(name, { threads: 1 });
  try {
    const parts = partsOf({ model, batchSize, imageSize });
    await twoSteps(device, parts, batchSize); // what libraries and JavaScript take once, and do not give back
    const before = nativeBytes();
    const { native, ...bytes } = await twoSteps(device, parts, batchSize);
    return { model, batchSize, imageSize, ...bytes, residentBytes: native - before };
  } finally {
    await device.close();
  }
}

/** What a step is planned to need. */
export async function plannedMemory(options: MemoryOptions): Promise<number> {
  const device = await Device.open(options.device ?? 'cpu', { threads: 1 });
  try {
    const { graph } = partsOf({ imageSize: modelDefaults(options.model).imageSize, ...options });
    const state = await device.createState(variablesOf(graph));
    return (await planMemory(graph, { device, state })).bytes;
  } finally {
    await device.close();
  }
}

interface Size {
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
}

function partsOf(size: Size): TrainingParts {
  const { numClasses } = modelDefaults(size.model);
  const inChannels = size.model.startsWith('sigmoid-mlp') ? 1 : 3;
  return trainingParts({ ...size, numClasses, inChannels, ampDtype: 'float32' });
}

async function twoSteps(device: Device, parts: TrainingParts, batchSize: number): Promise<Measured> {
  const held = [device.memory().bytes];
  const state = await device.createState(variablesOf(parts.graph));
  held.push(device.memory().bytes);
  const { bytes: plannedBytes } = await planMemory(parts.graph, { device, state });
  const program = await compile(parts.graph, { device, state });
  held.push(device.memory().bytes);
  await program.run(2, stepInputs(parts, batchSize, 2));
  const native = nativeBytes();
  program.close();
  state.close();
  const [start = 0, withState = 0, withStep = 0] = held;
  return { stateBytes: withState - start, plannedBytes, heldBytes: withStep - withState, native };
}

/** Resident memory that is not JavaScript's. */
function nativeBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { rss, heapTotal, external } = process.memoryUsage();
  return rss - heapTotal - external;
}

export interface Comparison {
  /** Of what the device took from the plan, the larger of both batches. */
  readonly held: number;
  /** Of what the larger batch made the process grow by more than the smaller one, from what was planned for it. */
  readonly resident: number;
  /** What the process takes whatever the batch: the code of kernels, and tables. */
  readonly fixedBytes: number;
}

/** How far two batches of a network, each measured in a process of its own, are from their plans, as shares of these. */
export function compared(small: MemoryResult, large: MemoryResult): Comparison {
  const forecast = ({ stateBytes, plannedBytes }: MemoryResult) => stateBytes + plannedBytes;
  const held = [small, large].map(({ heldBytes, plannedBytes }) => Math.abs(heldBytes / plannedBytes - 1));
  const grown = (large.residentBytes - small.residentBytes) / (forecast(large) - forecast(small));
  return { held: Math.max(...held), resident: grown - 1, fixedBytes: small.residentBytes - forecast(small) };
}
