import { percent } from '../train/format.ts';
import { readCheckpointInfo } from '../train/index.ts';
import { UsageError } from './args.ts';
import { defineCommand } from './command.ts';
import { ampOption, deviceOptions, jsonOption, lossScaleOptions, workersOption } from './common.ts';
import {
  type Configuration,
  configurationOf,
  outputFolder,
  resumedConfiguration,
  runOptions,
} from './configuration.ts';
import { recipeNotes } from './recipe-notes.ts';
import { bestOf, lastOf, type RunSummary, train } from './run.ts';

const options = {
  ...runOptions,
  ...ampOption,
  ...lossScaleOptions,
  ...deviceOptions,
  output: { type: 'text', value: 'FOLDER', description: 'folder of the run (default runs/<time>-<model>)' },
  resume: { type: 'text', value: 'FILE', description: 'continue from a last.safetensors, bit by bit' },
  'recovery-interval': {
    type: 'integer',
    min: 1,
    value: 'STEPS',
    description: 'save last every so many steps as well',
  },
  overwrite: { type: 'switch', description: 'replace the run that the output folder holds' },
  'log-interval': {
    type: 'integer',
    min: 1,
    max: 256,
    value: 'STEPS',
    description: 'steps between looks at the metrics',
  },
  ...workersOption,
  'skip-damaged': { type: 'switch', description: 'leave out pictures that do not decode' },
  ...jsonOption,
} as const;

export const command = defineCommand({
  name: 'train',
  usage: 'node-cudnn train [--model NAME] [--data SET] [options]',
  purpose: 'trains a network and keeps the last and the best of it',
  options,
  notes: recipeNotes(),
  examples: [
    'node-cudnn train --data cifar10-mini --epochs 5',
    'node-cudnn train --model cifar-resnet56-preact --data cifar10 --recipe paper --output runs/paper',
    'node-cudnn train --data photos/ --img-size 64 --epochs 30 --sched cosine --lr 0.1 --warmup-epochs 2',
    'node-cudnn train --model resnet50 --weights resnet50.safetensors --data flowers/ --freeze-until layer4',
    'node-cudnn train --resume runs/paper/last.safetensors',
  ],
  async run({ values, positionals, output }) {
    if (positionals.length > 0)
      throw new UsageError(`unexpected '${positionals[0]}'; give the data as --data ${positionals[0]}`);
    const { resume } = values;
    const configuration =
      resume === undefined
        ? configurationOf(values)
        : resumedConfiguration(resume, await readCheckpointInfo(resume), values);
    checkLossScale(configuration);
    const request = {
      configuration,
      folder: outputFolder(values.output, resume, configuration.model),
      resume,
      device: values.device,
      threads: values.threads,
      'compiled-engines': values['compiled-engines'],
      overwrite: values.overwrite,
      recoveryInterval: values['recovery-interval'],
      logInterval: values['log-interval'],
      skipDamaged: values['skip-damaged'],
      workers: values.workers,
    };
    const summary = await train(request, output);
    const { status, epoch, step, bestAccuracy, history } = summary.result;
    output.answer({ status, output: summary.folder, epoch, step, bestAccuracy, history }, () =>
      describe(summary, configuration.data),
    );
  },
});

function checkLossScale({ initialLossScale, lossScaleWindow, ampDtype }: Configuration): void {
  if (ampDtype === 'float16' || (initialLossScale ?? lossScaleWindow) === undefined) return;
  const flag = initialLossScale === undefined ? '--loss-scale-window' : '--initial-loss-scale';
  throw new UsageError(`${flag} is for --amp-dtype float16; this run computes in ${ampDtype}`);
}

function describe({ folder, result }: RunSummary, data: string): string {
  if (result.status === 'interrupted') {
    return `saved after step ${result.step}; continue with: node-cudnn train --resume ${lastOf(folder)}`;
  }
  return [
    `done: best test accuracy of ${result.epoch} epoch${result.epoch === 1 ? '' : 's'}: ${percent(result.bestAccuracy ?? 0, 2)}`,
    `  node-cudnn evaluate --checkpoint ${bestOf(folder)} --data ${data}`,
    `  node-cudnn predict --checkpoint ${bestOf(folder)} picture.jpg`,
  ].join('\n');
}
