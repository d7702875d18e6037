import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readForEvaluation, readImages } from '../data/index.ts';
import { writeNpy } from '../formats/index.ts';
import type { Module } from '../nn/index.ts';
import { percent } from '../train/format.ts';
import {
  type AmpDtype,
  type Checkpoint,
  type EndPointValue,
  ensemble,
  type Member,
  type ModelInfo,
  type Prediction,
  predictCheckpoint,
} from '../train/index.ts';
import { UsageError, type Values } from './args.ts';
import { checkpointOption, openCheckpoint } from './checkpoint.ts';
import { defineCommand } from './command.ts';
import { ampOption, deviceOptions, jsonOption, required, withDevice } from './common.ts';
import type { Configuration } from './configuration.ts';
import { openWeights, weightsOptions } from './weights.ts';

const options = {
  ...checkpointOption,
  ...weightsOptions,
  topk: { type: 'integer', min: 1, value: 'K', description: 'how many labels, the likeliest first (default 5)' },
  logits: { type: 'switch', description: 'with --json: all logits too, in the order of classes' },
  'end-points': {
    type: 'text',
    value: 'NAME,NAME',
    description: 'values inside the network to write as NAME.npy, one row per picture (names: node-cudnn summary)',
  },
  output: { type: 'text', value: 'FOLDER', description: '--end-points: where they go' },
  ...ampOption,
  ...deviceOptions,
  ...jsonOption,
} as const;

export const command = defineCommand({
  name: 'predict',
  usage: 'node-cudnn predict (--checkpoint FILE | --model NAME --weights FILE) PICTURE... [options]',
  purpose: 'says what is to be seen in pictures',
  options,
  examples: [
    'node-cudnn predict --checkpoint runs/start/best.safetensors cat.jpg dog.png',
    'node-cudnn predict --checkpoint runs/start/best.safetensors --json --logits *.jpg',
    'node-cudnn predict --model resnet50 --weights resnet50.safetensors picture.jpg',
    'node-cudnn predict --model resnet50 --weights resnet50.safetensors --end-points avgpool --output features *.jpg',
  ],
  async run({ values, positionals: files, output }) {
    if (files.length === 0) throw new UsageError('no pictures given: node-cudnn predict --checkpoint FILE PICTURE...');
    const endPoints = values['end-points']?.split(',') ?? [];
    const folder = endPoints.length > 0 ? required('--output', values.output) : '';
    const { model, info, checkpoint, members = [], images } = await openSource(values, files);
    const several = members.length > 1;
    if (several && endPoints.length > 0)
      throw new UsageError('--end-points are those of one --checkpoint, not of several');
    const ampDtype = (values['amp-dtype'] ?? 'float32') as AmpDtype;
    const batchSize = Math.min(files.length, 100);
    const predictions = await withDevice(values, (device) =>
      several
        ? ensemble(members).predict({ device, images, batchSize, ampDtype })
        : predictCheckpoint({
            device,
            model,
            info,
            ...(checkpoint && { checkpoint }),
            images,
            batchSize,
            ampDtype,
            endPoints,
          }),
    );
    for (const name of endPoints) await writeEndPoint(folder, name, predictions);
    const count = values.topk ?? 5;
    const answers = predictions.map((prediction, i) => ({
      file: files[i] as string,
      labels: prediction.labels.slice(0, count),
      probabilities: prediction.probabilities.slice(0, count),
      ...(values.logits && { logits: prediction.logits, classes: info.classes }),
    }));
    output.answer(answers, () => answers.map(describe).join('\n'));
  },
});

interface Source {
  readonly model: Module;
  readonly info: ModelInfo;
  readonly checkpoint?: Checkpoint;
  readonly members?: readonly Member[];
  readonly images: Uint8Array;
}

/** The network of a checkpoint or of weights, and the pictures as it wants them. */
async function openSource(values: Values<typeof options>, files: readonly string[]): Promise<Source> {
  if (values.weights !== undefined) {
    const { model, info, cropPct, interpolation } = await openWeights(values.weights, values);
    const images = await readForEvaluation(files, { size: info.input.height, cropPct, interpolation });
    return { model, info, images };
  }
  const members = await Promise.all(required('--checkpoint', values.checkpoint).map(openCheckpoint));
  const [{ checkpoint, model }] = members as [Member];
  const info = checkpoint.info.model;
  const { height, width, channels } = info.input;
  const { cropPct, interpolation } = checkpoint.info.configuration as Partial<Configuration>;
  const images =
    cropPct === undefined
      ? await readImages(files, { height, width, channels: channels === 1 ? 1 : 3 })
      : await readForEvaluation(files, { size: height, cropPct, ...(interpolation && { interpolation }) });
  return { model, info, checkpoint, members, images };
}

async function writeEndPoint(folder: string, name: string, predictions: readonly Prediction[]): Promise<void> {
  const rows = predictions.map(({ endPoints }) => endPoints?.[name] as EndPointValue);
  const [{ shape, data }] = rows as [EndPointValue];
  const all = new Float32Array(rows.length * data.length);
  rows.forEach((row, i) => {
    all.set(row.data, i * data.length);
  });
  await mkdir(folder, { recursive: true });
  await writeNpy(join(folder, `${name}.npy`), [rows.length, ...shape], all);
}

function describe({
  file,
  labels,
  probabilities,
}: { file: string } & Pick<Prediction, 'labels' | 'probabilities'>): string {
  const seen = labels.map((label, i) => `${label} ${percent(probabilities[i] as number)}`);
  return `${file}: ${seen.join(', ')}`;
}
