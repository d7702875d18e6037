// A checkpoint is a safetensors file: every variable of the run as a tensor, everything else as JSON in its metadata.
import {
  readHeader,
  readSafetensors,
  SafetensorsError,
  type Tensor,
  writeSafetensors,
} from '../formats/safetensors.ts';
import type { DType, HostArray } from '../graph/index.ts';
import { TrainingError } from './errors.ts';
import type { Sums } from './metrics.ts';

/** What a model needs to be built and fed again. */
export interface ModelInfo {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly classes: readonly string[];
  readonly input: { readonly height: number; readonly width: number; readonly channels: number };
  readonly normalisation: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

/** Where a run stands. The random state is `seed`: sampler and augmentation are pure functions of it, epoch and step. */
export interface Position {
  /** Epochs that are complete. */
  readonly epoch: number;
  /** Steps done in the epoch that is not. */
  readonly stepOfEpoch: number;
  /** Steps since the start of the run. */
  readonly step: number;
  readonly sums: Sums;
  readonly bestAccuracy: number | null;
  readonly callbacks: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
}

export interface CheckpointInfo {
  readonly model: ModelInfo;
  readonly position: Position;
  readonly seed: number;
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  /** How the run was started, for people and for `--resume`. */
  readonly configuration: Readonly<Record<string, unknown>>;
}

export interface Variable {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: HostArray;
}

export interface Checkpoint {
  readonly file: string;
  readonly info: CheckpointInfo;
  readonly variables: ReadonlyMap<string, Variable>;
}

const format = 'node-cudnn training checkpoint, version 1';
const keys = ['model', 'position', 'seed', 'batchSize', 'stepsPerEpoch', 'configuration'] as const;

export async function writeCheckpoint(
  file: string,
  variables: ReadonlyMap<string, Variable>,
  info: CheckpointInfo,
): Promise<void> {
  const tensors = new Map([...variables].map(([name, variable]) => [name, tensorOf(name, variable)]));
  const metadata = Object.fromEntries(keys.map((key) => [key, JSON.stringify(info[key])]));
  await writeSafetensors(file, tensors, { format, ...metadata });
}

function tensorOf(name: string, { shape, dtype, data }: Variable): Tensor {
  if (dtype === 'float32') return { dtype: 'F32', shape, data: data as Float32Array };
  if (dtype === 'float64') return { dtype: 'F64', shape, data: data as Float64Array };
  if (dtype === 'int32') return { dtype: 'I32', shape, data: data as Int32Array };
  throw new Error(`checkpoint: variable ${name} is ${dtype}; only float32, float64 and int32 are saved`);
}

const elementsAtATime = 1 << 20;

/** Lets other work run in between: a large tensor would hold the event loop for long. */
export async function allFinite(data: HostArray): Promise<boolean> {
  for (let from = 0; from < data.length; from += elementsAtATime) {
    if (from > 0) await new Promise((resolve) => setImmediate(resolve));
    const to = Math.min(from + elementsAtATime, data.length);
    for (let i = from; i < to; i += 1) if (!Number.isFinite(data[i])) return false;
  }
  return true;
}

const dtypes: Partial<Record<Tensor['dtype'], DType>> = { F32: 'float32', F64: 'float64', I32: 'int32' };

/** Reads and checks the whole file. Throws TrainingError naming the file and, where one is damaged, the tensor. */
export async function readCheckpoint(file: string): Promise<Checkpoint> {
  const { tensors, metadata } = await guarded(() => readSafetensors(file));
  const variables = new Map<string, Variable>();
  for (const [name, { dtype: stored, shape, data }] of tensors) {
    const dtype = dtypes[stored];
    if (dtype !== undefined) variables.set(name, { shape, dtype, data: data as HostArray });
  }
  return { file, variables, info: parseInfo(file, metadata) };
}

/** The metadata alone. */
export async function readCheckpointInfo(file: string): Promise<CheckpointInfo> {
  const { metadata } = await guarded(() => readHeader(file));
  return parseInfo(file, metadata);
}

async function guarded<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof SafetensorsError)) throw cause;
    throw new TrainingError('ERR_CHECKPOINT', `checkpoint ${cause.message}`, { cause });
  }
}

function parseInfo(file: string, metadata: ReadonlyMap<string, string>): CheckpointInfo {
  if (metadata.get('format') !== format) {
    throw new TrainingError(
      'ERR_CHECKPOINT',
      `checkpoint ${file}: its metadata says format '${metadata.get('format') ?? ''}', wanted '${format}'; ` +
        'give a file that `node-cudnn train` wrote',
    );
  }
  try {
    const entries = keys.map((key) => [key, JSON.parse(metadata.get(key) ?? '')]);
    return Object.fromEntries(entries) as CheckpointInfo;
  } catch (cause) {
    throw new TrainingError(
      'ERR_CHECKPOINT',
      `checkpoint ${file}: its metadata is damaged (${(cause as Error).message})`,
      {
        cause,
      },
    );
  }
}

export type VariableShapes = ReadonlyMap<string, readonly number[]>;

/** Throws TrainingError listing every difference between the wanted variables and those of the checkpoint. */
export function checkSameVariables(
  checkpoint: Checkpoint,
  wanted: VariableShapes,
  ignore: (name: string) => boolean,
): void {
  const missing: string[] = [];
  const reshaped: string[] = [];
  for (const [name, shape] of wanted) {
    const found = checkpoint.variables.get(name);
    if (found === undefined) missing.push(`${name} [${shape}]`);
    else if (String(found.shape) !== String(shape)) reshaped.push(`${name}: is [${found.shape}], wanted [${shape}]`);
  }
  const unexpected = [...checkpoint.variables]
    .filter(([name]) => !wanted.has(name) && !ignore(name))
    .map(([name, { shape }]) => `${name} [${shape}]`);
  const differences = [list('missing', missing), list('unexpected', unexpected), list('other shape', reshaped)].flat();
  if (differences.length === 0) return;
  throw new TrainingError(
    'ERR_CHECKPOINT',
    `checkpoint ${checkpoint.file} belongs to another model (${checkpoint.info.model.name}):\n${differences.join('\n')}\n` +
      'build the model that it was made with, or start a new run',
  );
}

const listed = 20;

function list(kind: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const rest = names.length > listed ? [`    and ${names.length - listed} more`] : [];
  return [`  ${kind} (${names.length}):`, ...names.slice(0, listed).map((name) => `    ${name}`), ...rest];
}
