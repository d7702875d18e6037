// Weights as people exchange them: a safetensors file of parameters and buffers under the names of torchvision or timm,
// with what their pictures need in its metadata, or in the config.json that timm writes beside it.
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Interpolation } from '../data/index.ts';
import { readHeader, readSafetensors, type Tensor, writeSafetensors } from '../formats/index.ts';
import type { Initialiser, Module } from '../nn/index.ts';
import type { State } from '../program.ts';
import { TrainingError } from './errors.ts';

/** What weights were published with. The names in the file's metadata are timm's: crop_pct, input_size, label_names ... */
export interface WeightsInfo {
  /** Under which createModel() knows the network. */
  readonly architecture?: string;
  readonly labels?: readonly string[];
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly imageSize?: number;
  readonly cropPct?: number;
  readonly interpolation?: Interpolation;
}

export interface LoadedWeights {
  readonly info: WeightsInfo;
  /** Names that the model has and the file lacks; those keep their initial values. */
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  /** `fc.weight: is [1000,512], wanted [10,512]`; those keep their initial values. */
  readonly misshapen: readonly string[];
}

export interface LoadWeightsOptions {
  /** Whether a missing, unexpected or misshapen name is an error (default), or only reported. */
  readonly strict?: boolean;
  /** Modules of which names may be missing, unexpected or misshapen without an error, such as auxiliary heads. */
  readonly optional?: readonly string[];
}

const keys: Readonly<Record<keyof WeightsInfo, string>> = {
  architecture: 'architecture',
  labels: 'label_names',
  mean: 'mean',
  std: 'std',
  imageSize: 'input_size',
  cropPct: 'crop_pct',
  interpolation: 'interpolation',
};

/**
 * Makes the file's tensors the initial values of the model's parameters and buffers: every state created afterwards begins
 * with them. float16, bfloat16 and float64 are converted; `num_batches_tracked` is passed over. Throws TrainingError.
 */
export async function loadWeights(
  model: Module,
  file: string,
  { strict = true, optional = [] }: LoadWeightsOptions = {},
): Promise<LoadedWeights> {
  const { tensors, metadata } = await readSafetensors(file);
  const wanted = new Map([...model.namedParameters(), ...model.namedBuffers()]);
  const missing = [...wanted].filter(([name]) => !tensors.has(name)).map(([name, { shape }]) => `${name} [${shape}]`);
  const unexpected: string[] = [];
  const misshapen: string[] = [];
  const content: (() => void)[] = [];
  for (const [name, tensor] of tensors) {
    const place = wanted.get(name);
    if (place && String(place.shape) === String(tensor.shape)) {
      const data = numbers(file, name, tensor);
      content.push(() => {
        place.initialiser = values(data);
      });
    } else if (place) misshapen.push(`${name}: is [${tensor.shape}], wanted [${place.shape}]`);
    else if (!name.endsWith('num_batches_tracked')) unexpected.push(`${name} [${tensor.shape}]`);
  }
  const report = { info: await infoOf(file, metadata), missing, unexpected, misshapen };
  if (strict) checkComplete(file, report, optional);
  for (const set of content) set();
  return report;
}

/** What pictures need, and the shapes alone. */
export async function readWeightsInfo(
  file: string,
): Promise<{ info: WeightsInfo; shapes: ReadonlyMap<string, readonly number[]> }> {
  const { tensors, metadata } = await readHeader(file);
  return {
    info: await infoOf(file, metadata),
    shapes: new Map([...tensors].map(([name, { shape }]) => [name, shape])),
  };
}

/** Writes the model's parameters and buffers, as `state` holds them, under torchvision's and timm's names. */
export async function saveWeights(file: string, model: Module, state: State, info: WeightsInfo = {}): Promise<void> {
  const tensors = new Map<string, Tensor>();
  for (const [name, { shape }] of [...model.namedParameters(), ...model.namedBuffers()]) {
    tensors.set(name, { dtype: 'F32', shape, data: Float32Array.from(await state.read(name)) });
  }
  const metadata = Object.entries(info).flatMap(([key, value]): [string, string][] =>
    value === undefined ? [] : [[keys[key as keyof WeightsInfo], JSON.stringify(value)]],
  );
  await writeSafetensors(file, tensors, { format: 'pt', ...Object.fromEntries(metadata) });
}

function values(data: ArrayLike<number>): Initialiser {
  return () => {
    let at = 0;
    return () => data[at++] as number;
  };
}

function numbers(file: string, name: string, { dtype, data }: Tensor): ArrayLike<number> {
  if (dtype === 'F32' || dtype === 'F64') return data;
  if (dtype === 'F16') return Float32Array.from(data, fromHalf);
  if (dtype === 'BF16') return new Float32Array(Uint32Array.from(data, (bits) => bits << 16).buffer);
  throw new TrainingError('ERR_WEIGHTS', `${file}: '${name}' is ${dtype}; weights are F64, F32, F16 or BF16`);
}

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

type Notes = Readonly<Record<string, unknown>>;

/** The file's own metadata comes before timm's config.json, and there what the weights need before what the network is. */
async function infoOf(file: string, metadata: ReadonlyMap<string, string>): Promise<WeightsInfo> {
  const own = Object.values(keys).flatMap((name) => {
    const text = metadata.get(name);
    return text === undefined
      ? []
      : [[name, parsed(file, `metadata '${name}'`, text, 'write the file with saveWeights()')] as const];
  });
  const notes: Notes = { ...(await timmConfig(file)), ...Object.fromEntries(own) };
  const found = Object.entries(keys).flatMap(([key, name]) => {
    const value = notes[name];
    return value === undefined || value === null ? [] : [[key, value] as const];
  });
  const info = Object.fromEntries(found) as Record<keyof WeightsInfo, unknown>;
  return {
    ...(info as WeightsInfo),
    ...(info.imageSize !== undefined && { imageSize: sideOf(file, info.imageSize) }),
    ...(info.labels !== undefined && { labels: Object.values(info.labels as Record<string, string>) }),
  };
}

/** timm calls the pair model.safetensors and config.json. */
async function timmConfig(file: string): Promise<Notes> {
  if (basename(file) !== 'model.safetensors') return {};
  const config = join(dirname(file), 'config.json');
  const text = await readFile(config, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  const { pretrained_cfg: published, ...network } = parsed(
    config,
    'it',
    text,
    'get it again, or move it away and give the flags',
  ) as { readonly pretrained_cfg?: Notes };
  return published ? { ...network, ...published } : {};
}

/** `input_size` is 224, or as in timm [3, 224, 224]. */
function sideOf(file: string, size: unknown): number {
  const [height, width] = Array.isArray(size) ? size.slice(-2) : [size, size];
  if (Number.isInteger(height) && height === width) return height;
  throw new TrainingError('ERR_WEIGHTS', `${file}: input_size is ${JSON.stringify(size)}; pictures must be square`);
}

function parsed(file: string, what: string, text: string, cure: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const problem = `${what} is no JSON (${(error as Error).message}); ${cure}`;
    throw new TrainingError('ERR_WEIGHTS', `${file}: ${problem}`, { cause: error });
  }
}

function checkComplete(
  file: string,
  { missing, unexpected, misshapen }: LoadedWeights,
  optional: readonly string[],
): void {
  const differences = Object.entries({ missing, unexpected, 'other shape': misshapen }).flatMap(([kind, all]) => {
    const names = all.filter((name) => !optional.some((module) => name.startsWith(`${module}.`)));
    return names.length > 0 ? [`  ${kind} (${names.length}):`, ...names.map((name) => `    ${name}`)] : [];
  });
  if (differences.length === 0) return;
  throw new TrainingError(
    'ERR_WEIGHTS',
    `${file} does not fit the model:\n${differences.join('\n')}\n` +
      'build the network and the number of classes that the file is of, or load what fits with strict: false',
  );
}
