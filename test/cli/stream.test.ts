import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { weightsHash } from '../train/processes.ts';
import { testDevice } from '../train/tiny.ts';
import { cli, json, writePictures } from './cli.ts';

const device = ['--device', testDevice(), '--threads', 1];
const pictures = ['--img-size', 16, '--scale', '0.3,1', '--color-jitter', 0.4, '--interpolation', 'bicubic'];
const schedule = ['--sched', 'step', '--decay-milestones', 9]; // the same for one epoch and for two
const options = ['--batch-size', 6, '--lr', 0.05, ...device];
let folder: string;
let data: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-cudnn-cli-'));
  data = await writePictures(join(folder, 'pictures'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a folder whose pictures are cut anew', () => {
  it('streams, is evaluated as it was trained, and is resumed to the bit', async () => {
    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
    const train = ['train', '--data', data, ...pictures, ...options];
    const run = await cli(...train, '--epochs', 2, ...schedule, '--output', whole);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toContain('24 training and 9 test pictures of 16x16x3, 2 classes, streamed');
    expect(JSON.parse(await readFile(join(whole, 'configuration.json'), 'utf8'))).toMatchObject({
      ...{ imgSize: 16, scale: [0.3, 1], colorJitter: 0.4, interpolation: 'bicubic', cropPct: 0.875 },
    });

    await json(...train, '--epochs', 1, ...schedule, '--output', parts, '--workers', 3);
    const last = join(parts, 'last.safetensors');
    await json('train', '--resume', last, '--epochs', 2, ...device, '--workers', 1);
    expect(await weightsHash(last)).toBe(await weightsHash(join(whole, 'last.safetensors')));
    const contradiction = await cli('train', '--resume', last, '--color-jitter', 0.1);
    expect(contradiction).toMatchObject({ code: 2, stderr: expect.stringContaining('the checkpoint has 0.4') });

    const lines = (await readFile(join(whole, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    const { testLoss } = JSON.parse(lines.at(-1) as string) as { testLoss: number };
    const checkpoint = join(whole, 'last.safetensors');
    const found = await json<{ images: number; loss: number }>(
      'evaluate',
      '--checkpoint',
      checkpoint,
      ...device,
      '--batch-size',
      6,
      '--workers',
      1,
    );
    expect(found.images).toBe(9);
    expect(found.loss).toBeCloseTo(testLoss, 5); // printed in full, summed in batches of one size
  }, 300_000);

  it('is told from sets that are held in memory', async () => {
    const { code, stderr } = await cli('train', '--data', 'synthetic', '--crop-pct', 0.9, ...options);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining('--crop-pct: synthetic is held in memory'),
    });
    const wrong = await cli('train', '--data', data, '--scale', '1,0.3');
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--scale '1,0.3': give two numbers, the lower one first"),
    });
  });
});

describe('bench --data', () => {
  it('times reading, the step, and both', async () => {
    const flags = ['--model', 'cifar-resnet20', '--image-size', 16, '--batch-size', 2, '--steps', 10, '--rounds', 2];
    const result = await json<{
      figures: Record<string, { cpuMs: { n: number; median: number } }>;
      share: { median: number };
    }>('bench', '--data', data, ...flags, '--workers', 2, ...device);
    expect(Object.keys(result.figures)).toEqual(['read', 'step', 'both']);
    for (const { cpuMs } of Object.values(result.figures))
      expect(cpuMs).toMatchObject({ n: 2, median: expect.any(Number) });
    expect(result.share.median).toBeGreaterThan(0);
  }, 120_000);
});
