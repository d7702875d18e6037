import { readImages } from '../data/index.ts';
import { percent } from '../train/format.ts';
import { type AmpDtype, type Prediction, predictCheckpoint } from '../train/index.ts';
import { UsageError } from './args.ts';
import { openCheckpoint } from './checkpoint.ts';
import { defineCommand } from './command.ts';
import { ampOption, deviceOptions, jsonOption, required, withDevice } from './common.ts';

export const command = defineCommand({
  name: 'predict',
  usage: 'node-cudnn predict --checkpoint FILE PICTURE... [options]',
  purpose: 'says what is to be seen in pictures',
  options: {
    checkpoint: { type: 'text', value: 'FILE', description: 'a best.safetensors or last.safetensors' },
    topk: { type: 'integer', min: 1, value: 'K', description: 'how many labels, the likeliest first (default 5)' },
    logits: { type: 'switch', description: 'with --json: all logits too, in the order of classes' },
    ...ampOption,
    ...deviceOptions,
    ...jsonOption,
  },
  examples: [
    'node-cudnn predict --checkpoint runs/start/best.safetensors cat.jpg dog.png',
    'node-cudnn predict --checkpoint runs/start/best.safetensors --json --logits *.jpg',
  ],
  async run({ values, positionals: files, output }) {
    const file = required('--checkpoint', values.checkpoint);
    if (files.length === 0) throw new UsageError('no pictures given: node-cudnn predict --checkpoint FILE PICTURE...');
    const { checkpoint, model } = await openCheckpoint(file);
    const { height, width, channels } = checkpoint.info.model.input;
    const images = await readImages(files, { height, width, channels: channels === 1 ? 1 : 3 });
    const ampDtype = (values['amp-dtype'] ?? 'float32') as AmpDtype;
    const batchSize = Math.min(files.length, 100);
    const predictions = await withDevice(values, (device) =>
      predictCheckpoint({ device, model, checkpoint, images, batchSize, ampDtype }),
    );
    const count = values.topk ?? 5;
    const answers = predictions.map((prediction, i) => ({
      file: files[i] as string,
      labels: prediction.labels.slice(0, count),
      probabilities: prediction.probabilities.slice(0, count),
      ...(values.logits && { logits: prediction.logits, classes: checkpoint.info.model.classes }),
    }));
    output.answer(answers, () => answers.map(describe).join('\n'));
  },
});

function describe({
  file,
  labels,
  probabilities,
}: { file: string } & Pick<Prediction, 'labels' | 'probabilities'>): string {
  const seen = labels.map((label, i) => `${label} ${percent(probabilities[i] as number)}`);
  return `${file}: ${seen.join(', ')}`;
}
