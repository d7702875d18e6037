import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { channelStatistics, type ImageSet, openStream } from '../../lib/data/index.ts';
import { Trainer, type TrainerOptions } from '../../lib/train/index.ts';
import { scratchFolder, writeFiles } from '../data/helpers.ts';
import { temporaryFolder, weightsHash } from './processes.ts';
import { tinyData, tinyModel, tinyRun } from './tiny.ts';

const data = tinyData();

/** The tiny set as PNG files. Classes are sorted by name; within one, files are in their order. */
async function tinyFolder(): Promise<string> {
  const path = await scratchFolder();
  for (const [split, set] of [
    ['train', data.train],
    ['test', data.test],
  ] as const)
    for (let i = 0; i < set.count; i += 1) {
      const name = `${split}/${set.labels[i] === 0 ? 'a-rows' : 'b-columns'}/${String(i).padStart(3, '0')}.png`;
      await writeFiles(path, { [name]: await pngOf(set, i) });
    }
  return path;
}

function pngOf({ images, width, height }: ImageSet, i: number): Promise<Buffer> {
  const pixels = images.subarray(i * width * height * 3, (i + 1) * width * height * 3);
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** As the files are sorted. */
function sorted(set: ImageSet): ImageSet {
  const order = [...set.labels.keys()].sort((a, b) => (set.labels[a] as number) - (set.labels[b] as number) || a - b);
  const bytes = set.width * set.height * 3;
  const images = Buffer.concat(order.map((i) => set.images.subarray(i * bytes, (i + 1) * bytes)));
  return { ...set, images: new Uint8Array(images), labels: Int32Array.from(order, (i) => set.labels[i] as number) };
}

const path = await tinyFolder();
const whole = { scale: [1, 1], ratio: [1, 1], flip: false } as const;

async function stream(options: Partial<Parameters<typeof openStream>[1]> = {}) {
  const set = await openStream(path, { size: 8, evaluation: { cropPct: 1 }, seed: 3, workers: 2, ...options });
  if (set === undefined) throw new Error('it does not stream');
  return set;
}

async function trained(output: string, options: Partial<TrainerOptions>): Promise<string> {
  await using trainer = await Trainer.create(tinyRun({ output, model: tinyModel(), ...options }));
  const { status } = await trainer.fit();
  expect(status).toBe('completed');
  return weightsHash(join(output, 'last.safetensors'));
}

it('learns from a stream of whole pictures what it learns from the same pictures in memory, to the bit', async () => {
  await using folder = await temporaryFolder();
  const [train, test] = [sorted(data.train), sorted(data.test)];
  const normalisation = channelStatistics(train);
  const resident = { ...data, train, test, classes: ['a-rows', 'b-columns'] };
  const streamed = await stream({ training: whole });
  const hashes = [
    await trained(join(folder.path, 'resident'), { data: resident, normalisation, augment: {} }),
    await trained(join(folder.path, 'streamed'), { data: streamed, normalisation }),
  ];
  expect(hashes[1]).toBe(hashes[0]);
  await using a = await Trainer.create(tinyRun({ data: resident, normalisation }));
  await using b = await Trainer.create(tinyRun({ data: streamed, normalisation }));
  expect(await b.evaluate()).toEqual(await a.evaluate());
});

it('continues in the middle of an epoch, with other workers and calls of other lengths, as if nothing had been', async () => {
  await using folder = await temporaryFolder();
  const augmented = { training: { colorJitter: 0.4, scale: [0.3, 1] as const } };
  const uninterrupted = await trained(join(folder.path, 'whole'), { data: await stream(augmented) });

  const parts = join(folder.path, 'parts');
  const abort = new AbortController();
  const callbacks = [{ onStepsEnd: ({ step }: { step: number }) => void (step >= 17 && abort.abort()) }];
  const first = await Trainer.create(
    tinyRun({ output: parts, data: await stream(augmented), stepsPerCall: 1, callbacks }),
  );
  expect(await first.fit({ signal: abort.signal })).toMatchObject({ status: 'interrupted', step: 17 });
  await first.close();
  const rest = {
    data: await stream({ ...augmented, workers: 5, prefetch: 4 }),
    resume: join(parts, 'last.safetensors'),
    stepsPerCall: 5,
  };
  expect(await trained(parts, rest)).toBe(uninterrupted);
  expect(await trained(join(folder.path, 'other'), { data: await stream({ ...augmented, seed: 4 }) })).not.toBe(
    uninterrupted,
  );
});

it('names a damaged picture and stops; on request it goes on and counts it nowhere', async () => {
  const damaged = await scratchFolder();
  for (const [i, name] of [
    'train/a/0',
    'train/a/1',
    'train/a/2',
    'train/b/3',
    'test/a/0',
    'test/a/1',
    'test/b/2',
  ].entries())
    await writeFiles(damaged, { [`${name}.png`]: await pngOf(data.train, i) });
  for (const name of ['train/a/2.png', 'test/a/1.png']) await writeFile(join(damaged, name), 'no picture');
  const open = async (skipDamaged: boolean) => {
    const set = await openStream(damaged, { size: 8, evaluation: { cropPct: 1 }, skipDamaged });
    if (set === undefined) throw new Error('it does not stream');
    return set;
  };
  await using strict = await Trainer.create(tinyRun({ data: await open(false), batchSize: 4 }));
  await expect(strict.fit()).rejects.toThrow(/train\/a\/2\.png: cannot be decoded/);
  const set = await open(true);
  await using lenient = await Trainer.create(tinyRun({ data: set, batchSize: 4, epochs: 2 }));
  expect((await lenient.fit()).status).toBe('completed');
  expect([set.train.damaged.size, set.test.damaged.size]).toEqual([1, 1]);
  expect((await lenient.evaluate()).images).toBe(2);
});
