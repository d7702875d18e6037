// Weights that people have, from the command line: --model NAME --weights FILE, with timm's flags for the pictures.
import { type Interpolation, interpolations } from '../data/index.ts';
import { type Classifier, createModel, type ModelDefaults, type ModelOptions, modelDefaults } from '../models/index.ts';
import {
  loadWeights,
  type ModelInfo,
  type PictureChoice,
  readWeightsInfo,
  TrainingError,
  type WeightsInfo,
} from '../train/index.ts';
import { UsageError, type Values } from './args.ts';

export const weightsOptions = {
  model: { type: 'text', value: 'NAME', description: '--weights: the network, such as resnet50 or resnetv2_50' },
  weights: {
    type: 'text',
    value: 'FILE',
    description: 'safetensors with the names of torchvision or timm, instead of a checkpoint',
  },
  'img-size': { type: 'integer', min: 8, value: 'S', description: '--weights: pictures of SxS (default 224)' },
  'crop-pct': {
    type: 'number',
    above: 0,
    max: 1,
    value: 'SHARE',
    description: '--weights: the shorter side becomes img-size / SHARE, then the centre is cut out',
  },
  mean: { type: 'numbers', value: 'R,G,B', description: '--weights: taken off pixel / 255' },
  std: { type: 'numbers', above: 0, value: 'R,G,B', description: '--weights: by what the rest is divided' },
  interpolation: {
    type: 'text',
    choices: interpolations,
    value: 'NAME',
    description: '--weights: filter of the resizing; defaults of these five: what the weights were published with',
  },
} as const;

export interface OpenedWeights {
  readonly model: Classifier;
  readonly info: ModelInfo;
  readonly cropPct: number;
  readonly interpolation: Interpolation;
}

/** Of Inception networks. Only training needs them: a file may lack those that are wanted, and have others. */
const auxiliaryHeads = ['aux1', 'aux2'];

/** The network with the file's weights. Flags come before the file's metadata, and that before what the network was published with. */
export async function openWeights(
  file: string,
  values: Values<typeof weightsOptions>,
  options: ModelOptions = {},
): Promise<OpenedWeights> {
  const { info: kept, shapes } = await readWeightsInfo(file);
  const name = values.model ?? kept.architecture;
  if (name === undefined)
    throw new UsageError('--weights needs --model NAME: the file does not say what network it is of');
  const numClasses = classesOf(file, name, shapes);
  const model = createModel(name, { ...options, numClasses });
  await loadWeights(model, file, { optional: auxiliaryHeads });
  return { model, ...pictures(name, numClasses, values, kept) };
}

/** How weights want the pictures of files cut: as they say, or were published; nothing where neither is known. */
export async function picturesOf(file: string, name: string): Promise<PictureChoice> {
  const { info } = await readWeightsInfo(file);
  const { imageSize, published } = modelDefaults(name);
  const cropPct = info.cropPct ?? published?.cropPct;
  const interpolation = info.interpolation ?? published?.interpolation;
  if (cropPct === undefined && interpolation === undefined) return {};
  return {
    imgSize: info.imageSize ?? imageSize,
    ...(cropPct !== undefined && { cropPct }),
    ...(interpolation !== undefined && { interpolation }),
  };
}

/** As many as the head of the file has. */
function classesOf(file: string, name: string, shapes: ReadonlyMap<string, readonly number[]>): number {
  const { headPath } = createModel(name);
  const shape = shapes.get(`${headPath}.weight`);
  if (shape?.[0] !== undefined) return shape[0];
  throw new TrainingError(
    'ERR_WEIGHTS',
    `${file} has no '${headPath}.weight', which ${name} ends in; give the network that the file is of by --model`,
  );
}

function pictures(name: string, numClasses: number, values: Values<typeof weightsOptions>, kept: WeightsInfo) {
  const { imageSize, published }: ModelDefaults = modelDefaults(name);
  const size = values['img-size'] ?? kept.imageSize ?? imageSize;
  const labels = kept.labels?.length === numClasses ? kept.labels : undefined;
  const info: ModelInfo = {
    name,
    options: { numClasses },
    classes: labels ?? Array.from({ length: numClasses }, (_, i) => `class ${i}`),
    input: { height: size, width: size, channels: 3 },
    normalisation: {
      mean: channels('--mean', values.mean ?? kept.mean ?? published?.mean),
      std: channels('--std', values.std ?? kept.std ?? published?.std),
    },
  };
  return {
    info,
    cropPct: values['crop-pct'] ?? kept.cropPct ?? published?.cropPct ?? 0.875,
    interpolation:
      (values.interpolation as Interpolation | undefined) ??
      kept.interpolation ??
      published?.interpolation ??
      'bilinear',
  };
}

function channels(flag: string, numbers: readonly number[] | undefined): readonly number[] {
  if (numbers?.length === 3) return numbers;
  const got = numbers === undefined ? 'the file does not say' : `got ${numbers.length}`;
  throw new UsageError(`${flag} must be three numbers, such as 0.485,0.456,0.406: ${got}`);
}
