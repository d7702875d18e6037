// What a training step is planned to need, and what the process then holds for it.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { stepInputs, trainingParts } from '../lib/cli/training-program.ts';
import { modelDefaults } from '../lib/models/index.ts';
import { compile, Device, planMemory, variablesOf } from '../lib/program.ts';

export interface MemoryOptions {
  readonly model: string;
  readonly batchSize: number;
  /** Default: what the network is made for. */
  readonly imageSize?: number | undefined;
  readonly device?: string | undefined;
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
    await twoSteps(device, { model: 'cifar-resnet20', batchSize: 1, imageSize: 8 }); // what libraries take once
    const before = nativeBytes();
    const { native, ...bytes } = await twoSteps(device, { model, batchSize, imageSize });
    return { model, batchSize, imageSize, ...bytes, residentBytes: native - before };
  } finally {
    await device.close();
  }
}

async function twoSteps(
  device: Device,
  size: { readonly model: string; readonly batchSize: number; readonly imageSize: number },
): Promise<Measured> {
  const { numClasses } = modelDefaults(size.model);
  const inChannels = size.model.startsWith('sigmoid-mlp') ? 1 : 3;
  const parts = trainingParts({ ...size, numClasses, inChannels, ampDtype: 'float32' });
  const held = [device.memory().bytes];
  const state = await device.createState(variablesOf(parts.graph));
  held.push(device.memory().bytes);
  const { bytes: plannedBytes } = await planMemory(parts.graph, { device, state });
  const program = await compile(parts.graph, { device, state });
  held.push(device.memory().bytes);
  await program.run(2, stepInputs(parts, size.batchSize, 2));
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
