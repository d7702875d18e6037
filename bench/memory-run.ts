// What a training step is planned to need, and what the process holds for it.
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
  /** Of the step, before it is compiled: temporaries, workspaces among them. */
  readonly plannedBytes: number;
  /** What the device took for the step. */
  readonly heldBytes: number;
  /** By how much the process shrinks when state and step are given back; the code of kernels is part of it. */
  readonly residentBytes: number;
}

/** Plans a network, then runs two steps of it. */
export async function measureMemory(options: MemoryOptions): Promise<MemoryResult> {
  const { model, batchSize, imageSize = modelDefaults(model).imageSize, device: name = 'cpu' } = options;
  const device = await Device.open(name);
  try {
    const parts = partsOf({ model, batchSize, imageSize });
    const held = [device.memory().bytes];
    const state = await device.createState(variablesOf(parts.graph));
    held.push(device.memory().bytes);
    const { bytes: plannedBytes } = await planMemory(parts.graph, { device, state });
    const program = await compile(parts.graph, { device, state });
    held.push(device.memory().bytes);
    await program.run(2, stepInputs(parts, batchSize, 2));
    const resident = process.memoryUsage.rss();
    program.close();
    state.close();
    (await device.createState([])).close(); // comes after what was closed
    const [start = 0, withState = 0, withStep = 0] = held;
    return {
      ...{ model, batchSize, imageSize, stateBytes: withState - start, plannedBytes, heldBytes: withStep - withState },
      residentBytes: resident - process.memoryUsage.rss(),
    };
  } finally {
    await device.close();
  }
}

/** What a step is planned to need. */
export async function plannedMemory(options: MemoryOptions): Promise<number> {
  const device = await Device.open(options.device ?? 'cpu');
  try {
    const { graph } = partsOf({ imageSize: modelDefaults(options.model).imageSize, ...options });
    const state = await device.createState(variablesOf(graph));
    return (await planMemory(graph, { device, state })).bytes;
  } finally {
    await device.close();
  }
}

function partsOf(size: {
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
}): TrainingParts {
  const { numClasses } = modelDefaults(size.model);
  const inChannels = size.model.startsWith('sigmoid-mlp') ? 1 : 3;
  return trainingParts({ ...size, numClasses, inChannels, ampDtype: 'float32' });
}

/** How far what is held is from what was planned, as shares of it. */
export function compared({ stateBytes, plannedBytes, heldBytes, residentBytes }: MemoryResult) {
  return { held: heldBytes / plannedBytes - 1, resident: residentBytes / (stateBytes + plannedBytes) - 1 };
}
