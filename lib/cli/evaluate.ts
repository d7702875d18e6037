import { dataSetNames } from '../data/index.ts';
import { percent } from '../train/format.ts';
import {
  type AmpDtype,
  type Checkpoint,
  ensemble,
  evaluateCheckpoint,
  type Member,
  TrainingError,
} from '../train/index.ts';
import type { Values } from './args.ts';
import { checkpointOption, openCheckpoint } from './checkpoint.ts';
import { defineCommand, type Output } from './command.ts';
import { ampOption, deviceOptions, jsonOption, required, withDevice, workersOption } from './common.ts';
import type { Configuration } from './configuration.ts';
import { loadData } from './data.ts';
import { openWeights, weightsOptions } from './weights.ts';

export const command = defineCommand({
  name: 'evaluate',
  usage: 'node-cudnn evaluate (--checkpoint FILE | --model NAME --weights FILE) [--data SET] [options]',
  purpose: 'measures loss and accuracy of a checkpoint on whole pictures',
  options: {
    ...checkpointOption,
    ...weightsOptions,
    data: { type: 'text', value: 'SET', description: 'as for train (default: what the checkpoint was trained on)' },
    split: {
      type: 'text',
      choices: ['test', 'train'],
      value: 'NAME',
      description: 'which part of it: test (default) or train',
    },
    'batch-size': { type: 'integer', min: 1, value: 'N', description: 'pictures per step (default 100)' },
    ...workersOption,
    ...ampOption,
    ...deviceOptions,
    ...jsonOption,
  },
  examples: [
    'node-cudnn evaluate --checkpoint runs/start/best.safetensors',
    'node-cudnn evaluate --checkpoint runs/start/best.safetensors --data cifar10 --json',
    'node-cudnn evaluate --checkpoint a/best.safetensors --checkpoint b/best.safetensors',
    'node-cudnn evaluate --model resnet50 --weights resnet50.safetensors --data imagenet/',
  ],
  async run({ values, output }) {
    const { data, ...opened } =
      values.weights === undefined ? await ofCheckpoints(values, output) : await ofWeights(values, output);
    const set = values.split === 'train' ? data.train : data.test;
    const how = {
      set,
      ampDtype: (values['amp-dtype'] ?? 'float32') as AmpDtype,
      ...(values['batch-size'] !== undefined && { batchSize: values['batch-size'] }),
    };
    const evaluation = await withDevice(values, (device) =>
      opened.members.length > 1
        ? ensemble(opened.members as readonly Member[]).evaluate({ ...how, device })
        : evaluateCheckpoint({ ...how, device, ...(opened.members[0] as Member) }),
    );
    const { images, loss, top1, top5 } = evaluation;
    output.answer(
      { images, loss, top1, top5 },
      () =>
        `${images} pictures of ${set.name}: loss ${loss.toFixed(4)}, top-1 ${percent(top1, 2)}, top-5 ${percent(top5, 2)}`,
    );
  },
});

interface Choice extends Values<typeof weightsOptions> {
  readonly checkpoint?: readonly string[];
  readonly data?: string;
  readonly workers?: number;
}

async function ofCheckpoints(values: Choice, output: Output) {
  const files = required('--checkpoint', values.checkpoint);
  const members = await Promise.all(files.map(openCheckpoint));
  const [{ checkpoint }] = members as [Member];
  const kept = checkpoint.info.configuration as Partial<Configuration>;
  const source = required('--data', values.data ?? kept.data);
  const data = await loadData(
    { ...kept, model: checkpoint.info.model.name, data: source, workers: values.workers },
    output,
  );
  checkFits(checkpoint, data);
  return { members, data };
}

/** Pictures of files are cut as the weights want them; a named set is taken as it is. */
async function ofWeights(values: Choice, output: Output) {
  const file = values.weights as string;
  const { model, info, cropPct, interpolation } = await openWeights(file, values);
  const source = required('--data', values.data);
  const cut = (dataSetNames as readonly string[]).includes(source) ? {} : { cropPct, interpolation };
  const data = await loadData({ data: source, imgSize: info.input.height, workers: values.workers, ...cut }, output);
  if (data.classes.length === info.classes.length) return { members: [{ model, info }], data };
  throw new TrainingError(
    'ERR_WEIGHTS',
    `${data.name} has ${data.classes.length} classes, ${file} is of ${info.classes.length}; give data of the same classes`,
  );
}

function checkFits({ file, info: { model } }: Checkpoint, data: Awaited<ReturnType<typeof loadData>>): void {
  const { height, width, channels } = data.test;
  const problems = [
    differs('classes', model.classes, data.classes),
    differs('picture size', model.input, { height, width, channels }),
  ].filter((line) => line !== undefined);
  if (problems.length === 0) return;
  throw new TrainingError(
    'ERR_CHECKPOINT',
    `${data.name} does not fit checkpoint ${file}:\n${problems.join('\n')}\ngive the kind of data that it was trained on`,
  );
}

function differs(what: string, wanted: unknown, found: unknown): string | undefined {
  const [a, b] = [JSON.stringify(wanted), JSON.stringify(found)];
  return a === b ? undefined : `  ${what}: the checkpoint has ${a}, the data ${b}`;
}
