// Where pictures are cut anew: what recipe, weights and flags say of them, in this order.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Output } from '../../lib/cli/command.ts';
import { configurationOf } from '../../lib/cli/configuration.ts';
import { loadData } from '../../lib/cli/data.ts';
import { lastOf, train } from '../../lib/cli/run.ts';
import { picturesOf } from '../../lib/cli/weights.ts';
import { isStreamed } from '../../lib/data/index.ts';
import { type Tensor, writeSafetensors } from '../../lib/formats/index.ts';
import { elements } from '../../lib/graph/index.ts';
import { createModel } from '../../lib/models/index.ts';
import { readCheckpointInfo, recipes } from '../../lib/train/index.ts';
import { png, tarOf } from '../data/helpers.ts';
import { testDevice } from '../train/tiny.ts';
import { writePictures } from './cli.ts';

const log = Object.assign(new PassThrough().resume(), { isTTY: false }) as unknown as NodeJS.WriteStream;
const output: Output = { json: true, log, line: () => undefined, answer: () => undefined };
const published = { mean: '[0.5,0.4,0.3]', std: '[0.2,0.2,0.2]' };
const cut = { input_size: '16', crop_pct: '0.9', interpolation: '"bicubic"' };
let folder: string;
let data: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-cudnn-cli-'));
  data = await writePictures(join(folder, 'pictures'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Those of a network for five classes, with every number the same. */
async function weightsFile(name: string, metadata: Readonly<Record<string, string>>): Promise<string> {
  const model = createModel('cifar-resnet20', { numClasses: 5 });
  const tensors = [...model.namedParameters(), ...model.namedBuffers()].map(([key, { shape }]): [string, Tensor] => {
    const data = new Float32Array(elements(shape)).fill(key.endsWith('running_var') ? 1 : 0.01);
    return [key, { dtype: 'F32', shape, data }];
  });
  const file = join(folder, name);
  await writeSafetensors(file, new Map(tensors), metadata);
  return file;
}

async function tuned(name: string, flags: Parameters<typeof configurationOf>[0]) {
  const configuration = configurationOf({ data, epochs: 1, 'batch-size': 12, lr: 0.01, ...flags });
  const run = { configuration, folder: join(folder, name), device: testDevice(), threads: 1, workers: 1 };
  let streamed = false;
  await train(run, output, async (_, { train: set }) => {
    streamed = isStreamed(set);
  });
  const { model, configuration: kept } = await readCheckpointInfo(lastOf(run.folder));
  return { streamed, model, kept };
}

describe('fine-tuning a set that streams', () => {
  it('cuts and normalises pictures as the weights say', async () => {
    const { streamed, model, kept } = await tuned('as-published', {
      weights: await weightsFile('published.safetensors', { ...published, ...cut }),
    });
    expect(streamed).toBe(true);
    expect(kept).toMatchObject({ imgSize: 16, cropPct: 0.9, interpolation: 'bicubic' });
    expect(model.normalisation).toEqual({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] });
    expect([model.input.height, model.classes.length]).toEqual([16, 2]);
  }, 120_000);

  it('takes flags over the weights', async () => {
    const { model, kept } = await tuned('as-asked', {
      weights: await weightsFile('asked.safetensors', { ...published, ...cut }),
      ...{ 'img-size': 8, 'crop-pct': 1, interpolation: 'bilinear', mean: [0.1, 0.2, 0.3] },
    });
    expect(kept).toMatchObject({ imgSize: 8, cropPct: 1, interpolation: 'bilinear' });
    expect(model.normalisation).toEqual({ mean: [0.1, 0.2, 0.3], std: [0.2, 0.2, 0.2] });
  }, 120_000);

  it('knows how weights were published that do not say so themselves', async () => {
    const file = await weightsFile('bare.safetensors', published);
    expect(await picturesOf(file, 'resnet50')).toEqual({ imgSize: 224, cropPct: 0.875, interpolation: 'bilinear' });
    expect(await picturesOf(file, 'resnetv2_50')).toEqual({ imgSize: 224, cropPct: 0.95, interpolation: 'bicubic' });
    expect(await picturesOf(file, 'cifar-resnet20')).toEqual({});
  });

  it('wants both of mean and std where no weights bring the other', () => {
    expect(() => configurationOf({ mean: [0.5, 0.5, 0.5] })).toThrow('--mean needs --std, which no --weights');
    expect(configurationOf({ mean: [0.5], std: [0.2] })).toMatchObject({ mean: [0.5], std: [0.2] });
  });
});

describe('the pictures of a recipe', () => {
  const wanted = recipes['bn-x5'].pictures ?? {};

  it('are cut anew where a set streams', async () => {
    const { train: set } = await loadData({ data, recipe: recipes['bn-x5'], wanted }, output);
    expect([isStreamed(set), set.width]).toEqual([true, 224]);
    const asked = await loadData({ data, recipe: recipes['bn-x5'], wanted, imgSize: 32 }, output);
    expect(asked.train.width).toBe(32);
  });

  it('are taken as they are in memory', async () => {
    const [picture, archive] = [await png(10, 20, 30, 8, 8), join(folder, 'pictures.tar')];
    await writeFile(archive, await tarOf({ 'train/cat/a.png': picture, 'test/cat/b.png': picture }));
    const { train: set } = await loadData({ data: archive, recipe: recipes['bn-x5'], wanted }, output);
    expect([isStreamed(set), set.width]).toEqual([false, 8]);
  });
});
