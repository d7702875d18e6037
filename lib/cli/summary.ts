import { table } from '../graph/index.ts';
import { modelDefaults } from '../models/index.ts';
import { type ModelSummary, summarise } from '../nn/index.ts';
import { bytes } from '../train/format.ts';
import type { AmpDtype } from '../train/index.ts';
import { UsageError } from './args.ts';
import { defineCommand } from './command.ts';
import { ampOption, auxOption, deviceOptions, jsonOption, withDevice } from './common.ts';
import { trainingProgram } from './training-program.ts';

export const command = defineCommand({
  name: 'summary',
  usage: 'node-cudnn summary MODEL [options]',
  purpose: 'shows layers, sizes and costs of a network',
  options: {
    'image-size': {
      type: 'integer',
      min: 8,
      value: 'S',
      description: 'pictures of SxS (default: what the network is made for)',
    },
    'batch-size': { type: 'integer', min: 1, value: 'N', description: 'pictures per step (default 1)' },
    'num-classes': {
      type: 'integer',
      min: 2,
      value: 'K',
      description: 'classes (default: what the network is made for)',
    },
    'in-chans': {
      type: 'text',
      choices: ['1', '3'],
      value: 'C',
      description: 'channels of the pictures: 1 or 3 (default)',
    },
    ...auxOption,
    ...ampOption,
    ...deviceOptions,
    ...jsonOption,
  },
  examples: ['node-cudnn summary resnet50', 'node-cudnn summary cifar-resnet110 --batch-size 128 --json'],
  async run({ values, positionals, output }) {
    const [model, more] = positionals;
    if (model === undefined || more !== undefined) throw new UsageError('give one model: node-cudnn summary MODEL');
    const inChannels: 1 | 3 = values['in-chans'] === '1' ? 1 : 3;
    const { imageSize, numClasses } = modelDefaults(model);
    const options = {
      model,
      batchSize: values['batch-size'] ?? 1,
      imageSize: values['image-size'] ?? imageSize,
      numClasses: values['num-classes'] ?? numClasses,
      inChannels,
      ampDtype: (values['amp-dtype'] ?? 'float32') as AmpDtype,
      auxLogits: values['aux-logits'],
    };
    const summary = await withDevice(values, async (device) => {
      const { module, program, state } = await trainingProgram(device, options);
      const { arenaBytes } = program.plan;
      program.close();
      state.close();
      const shape = [options.batchSize, inChannels, options.imageSize, options.imageSize];
      return { ...summarise(module, shape), plannedBytes: arenaBytes };
    });
    const { parameters, buffers, multiplyAdds, activationBytes, plannedBytes, layers, endPoints } = summary;
    output.answer({ parameters, buffers, multiplyAdds, activationBytes, plannedBytes, layers, endPoints }, () =>
      describe(summary, options),
    );
  },
});

function describe(
  { layers, parameters, buffers, multiplyAdds, activationBytes, plannedBytes }: ModelSummary & { plannedBytes: number },
  { model, batchSize }: { model: string; batchSize: number },
): string {
  const rows = layers.map(({ name, type, outputShape, parameters: own }) => [name, type, `[${outputShape}]`, own]);
  return [
    table(['layer', 'type', 'output', 'parameters'], rows),
    '',
    `${model}: ${parameters.toLocaleString('en')} parameters, ${buffers.toLocaleString('en')} numbers in buffers`,
    `batch of ${batchSize}: ${(multiplyAdds / 1e6).toFixed(1)} million multiply-adds forward, ` +
      `${bytes(activationBytes)} of activations; a training step is planned into ${bytes(plannedBytes)}`,
  ].join('\n');
}
