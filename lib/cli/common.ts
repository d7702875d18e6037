// Flags and steps that several commands share.
import { Device, type DeviceOptions } from '../program.ts';
import { UsageError, type Values } from './args.ts';

export const deviceOptions = {
  device: { type: 'text', value: 'NAME', description: 'cpu (default), reference, cuda:0 ...; see node-cudnn devices' },
  threads: { type: 'integer', min: 1, value: 'N', description: 'CPU threads (default: physical cores)' },
  tf32: { type: 'switch', description: 'CUDA: float32 products may round to tf32 (a CPU never does)' },
  deterministic: {
    type: 'switch',
    description: 'CUDA: equal runs give equal bits, at some speed (a CPU always does, for equal --threads)',
  },
  'compiled-engines': {
    type: 'text',
    choices: ['never', 'timed', 'always'],
    value: 'WHEN',
    description:
      'CUDA: batch norm and pooling by engines that cuDNN compiles: never (default), timed (the faster), always',
  },
} as const;

/** What `deviceOptions` decides. */
export type DeviceChoice = {
  readonly [K in keyof Values<typeof deviceOptions>]?: Values<typeof deviceOptions>[K] | undefined;
};

export const ampOption = {
  'amp-dtype': {
    type: 'text',
    choices: ['float32', 'bfloat16', 'float16'],
    value: 'DTYPE',
    description: 'precision of the layers: float32 (default), bfloat16, or float16, which scales the loss',
  },
} as const;

export const auxOption = {
  'aux-logits': {
    type: 'switch',
    description: 'inception networks: with auxiliary heads, whose losses training adds, each by 0.3',
  },
} as const;

/** Named as in Megatron-LM. */
export const lossScaleOptions = {
  'initial-loss-scale': {
    type: 'number',
    above: 0,
    value: 'S',
    description: 'float16: what the loss is multiplied by at first (default 65536)',
  },
  'loss-scale-window': {
    type: 'integer',
    min: 1,
    value: 'STEPS',
    description: 'float16: good steps after which the scale doubles (default 2000)',
  },
} as const;

export const workersOption = {
  workers: {
    type: 'integer',
    min: 1,
    max: 1024,
    value: 'N',
    description: 'threads that read pictures of a set that streams (default: all cores)',
  },
} as const;

export const jsonOption = {
  json: { type: 'switch', description: 'write the answer as JSON to stdout, everything else to stderr' },
} as const;

export const helpOptions = {
  help: { type: 'switch', description: 'show this help' },
  debug: { type: 'switch', description: 'show where an error arose' },
} as const;

export function required<T>(flag: string, value: T | undefined): T {
  if (value === undefined) throw new UsageError(`${flag} is missing; --help shows how it is used`);
  return value;
}

export function compiledEnginesOf(choice: DeviceChoice): Pick<DeviceOptions, 'compiledEngines'> {
  const compiledEngines = choice['compiled-engines'] as DeviceOptions['compiledEngines'];
  return compiledEngines === undefined ? {} : { compiledEngines };
}

export async function withDevice<T>(choice: DeviceChoice, use: (device: Device) => Promise<T>): Promise<T> {
  const { device: name = 'cpu', threads, tf32 = false, deterministic = false } = choice;
  const options = { ...(threads !== undefined && { threads }), tf32, deterministic, ...compiledEnginesOf(choice) };
  const device = await Device.open(name, options);
  try {
    return await use(device);
  } finally {
    await device.close();
  }
}
