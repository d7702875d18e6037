// Auxiliary heads: trained on request, kept in checkpoints, passed over by whatever predicts.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openCheckpoint } from '../../lib/cli/checkpoint.ts';
import type { Output } from '../../lib/cli/command.ts';
import { type Configuration, configurationOf, resumedConfiguration } from '../../lib/cli/configuration.ts';
import { lastOf, train } from '../../lib/cli/run.ts';
import { openWeights } from '../../lib/cli/weights.ts';
import { readForEvaluation } from '../../lib/data/index.ts';
import { Device } from '../../lib/program.ts';
import { predictCheckpoint } from '../../lib/train/index.ts';
import { testDevice } from '../train/tiny.ts';
import { writePictures } from './cli.ts';

const log = Object.assign(new PassThrough().resume(), { isTTY: false }) as unknown as NodeJS.WriteStream;
const output: Output = { json: true, log, line: () => undefined, answer: () => undefined };
const flags = { model: 'inception-v1', 'aux-logits': true, 'img-size': 65, epochs: 1, 'batch-size': 12, lr: 0.01 };
let folder: string;
let checkpoint: string;
let weights: string;
let data: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-cudnn-aux-'));
  data = await writePictures(join(folder, 'pictures'));
  weights = join(folder, 'weights.safetensors');
  const run = { folder: join(folder, 'run'), device: testDevice(), threads: 1 };
  await train({ ...run, configuration: configurationOf({ ...flags, data }) }, output, (trainer) =>
    trainer.saveWeights(weights),
  );
  checkpoint = lastOf(run.folder);
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

it('are trained, and stand in the checkpoint', async () => {
  const { info, variables } = (await openCheckpoint(checkpoint)).checkpoint;
  expect(info.model.options).toMatchObject({ auxiliaryHeads: true, imageSize: 65, numClasses: 2 });
  expect(variables.get('aux1.fc2.weight')?.shape).toEqual([2, 1024]);
  const momentum = [...variables].find(([name]) => name.startsWith('optimizer.') && name.endsWith('aux2.fc2.weight'));
  expect(Array.from(momentum?.[1].data ?? []).some((value) => value !== 0)).toBe(true);
});

it('do not touch predictions', async () => {
  const device = await Device.open(testDevice(), { threads: 1 });
  const images = await readForEvaluation([join(data, 'test', 'rows', '000.png')], { size: 65, cropPct: 1 });
  const [trained] = await predictCheckpoint({ device, ...(await openCheckpoint(checkpoint)), images, batchSize: 1 });
  const { model, info } = await openWeights(weights, { model: 'inception-v1' });
  expect(model.auxiliary).toEqual({});
  const [bare] = await predictCheckpoint({ device, model, info, images, batchSize: 1 });
  await device.close();
  expect(bare?.logits).toEqual(trained?.logits);
}, 60_000);

it('may be new on weights that have none of their size', async () => {
  const { model } = await openWeights(weights, { model: 'inception-v1' }, { auxiliaryHeads: true, imageSize: 128 });
  expect(model.auxiliary).toEqual({ aux1: 0.3, aux2: 0.3 });
});

it('are part of a run that is resumed', async () => {
  const { info } = (await openCheckpoint(checkpoint)).checkpoint;
  expect(resumedConfiguration(checkpoint, info, {})).toMatchObject({ auxLogits: true });
  const { auxLogits: _, ...without } = info.configuration as unknown as Configuration;
  const other = { ...info, configuration: { ...without } };
  expect(() => resumedConfiguration(checkpoint, other, { 'aux-logits': true })).toThrow(
    '--aux-logits true: the checkpoint has undefined',
  );
});
