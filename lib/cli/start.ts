import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataSet, type ImageSet, isStreamed, type StreamedDataSet } from '../data/index.ts';
import { percent } from '../train/format.ts';
import type { Trainer } from '../train/index.ts';
import { defineCommand, type Output } from './command.ts';
import { deviceOptions, jsonOption } from './common.ts';
import { configurationOf } from './configuration.ts';
import { describePicture, picturePage, type SeenPicture, terminalPictures } from './pictures.ts';
import { bestOf, lastOf, train } from './run.ts';

export const command = defineCommand({
  name: 'start',
  usage: 'node-cudnn start [options]',
  purpose: 'trains a ResNet-20 on 4,000 small photographs and shows what it sees: minutes',
  options: {
    epochs: { type: 'integer', min: 1, value: 'N', description: 'passes over the training set (default 15)' },
    seed: {
      type: 'integer',
      min: 0,
      max: 2 ** 31 - 1,
      value: 'N',
      description: 'of weights, order and crops (default 0)',
    },
    output: {
      type: 'text',
      value: 'FOLDER',
      description: 'folder of the run (default runs/start), replaced each time',
    },
    ...deviceOptions,
    ...jsonOption,
  },
  examples: ['npm start', 'npm start -- --epochs 3'],
  async run({ values, output }) {
    const folder = values.output ?? join('runs', 'start');
    const request = {
      configuration: configurationOf({
        ...(values.epochs !== undefined && { epochs: values.epochs }),
        ...(values.seed !== undefined && { seed: values.seed }),
        ...(values.tf32 && { tf32: true }),
        ...(values.deterministic && { deterministic: true }),
      }),
      folder,
      overwrite: true,
      device: values.device,
      threads: values.threads,
      'compiled-engines': values['compiled-engines'],
    };
    let pictures: SeenPicture[] = [];
    const { result } = await train(request, output, async (trainer, data, { status }) => {
      if (status !== 'interrupted') pictures = await look(trainer, data);
    });
    if (result.status === 'interrupted') {
      output.line(`saved after step ${result.step}; continue with: node-cudnn train --resume ${lastOf(folder)}`);
      return;
    }
    const page = join(folder, 'predictions.html');
    await writeFile(page, picturePage('What the network sees', pictures));
    const testAccuracy = result.history.at(-1)?.testAccuracy ?? 0;
    const seen = pictures.map(({ label, prediction, probability }) => ({ label, prediction, probability }));
    output.answer({ testAccuracy, output: folder, pictures: seen, page }, () =>
      [show(pictures, output), '', ...outcome(testAccuracy, folder, page)].join('\n'),
    );
  },
});

const shown = 10;

/** Test pictures from all over the set, with what the network sees in them. */
async function look(trainer: Trainer, { test, classes }: DataSet | StreamedDataSet): Promise<SeenPicture[]> {
  if (isStreamed(test)) return [];
  const count = Math.min(shown, test.count);
  const rows = Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * test.count) / count));
  const { height, width, channels } = test;
  const pictures = rows.map((row) => ({
    pixels: pixelsOf(test, row),
    label: classes[test.labels[row] as number] as string,
  }));
  const predictions = await trainer.predict(new Uint8Array(Buffer.concat(pictures.map(({ pixels }) => pixels))));
  return pictures.map(({ pixels, label }, i) => {
    const { labels, probabilities } = predictions[i] as (typeof predictions)[number];
    const [prediction = '', probability = 0] = [labels[0], probabilities[0]];
    return { pixels, height, width, channels, label, prediction, probability };
  });
}

function pixelsOf({ images, height, width, channels }: ImageSet, row: number): Uint8Array {
  const size = height * width * channels;
  return images.subarray(row * size, (row + 1) * size);
}

function show(pictures: readonly SeenPicture[], { log }: Output): string {
  const colours = log.isTTY && log.hasColors(2 ** 24);
  return colours ? terminalPictures(pictures, log.columns) : pictures.map(describePicture).join('\n');
}

function outcome(testAccuracy: number, folder: string, page: string): string[] {
  return [
    `test accuracy ${percent(testAccuracy)}; the pictures: ${page}`,
    '',
    'Go on with:',
    `  npx node-cudnn predict --checkpoint ${bestOf(folder)} your-picture.jpg`,
    `  npx node-cudnn evaluate --checkpoint ${bestOf(folder)}`,
    '  npx node-cudnn train --data cifar10 --epochs 30 --batch-size 128',
    '  npx node-cudnn train --help',
  ];
}
