import { chmod, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { BatchOrder } from '../../lib/data/types.ts';
import { Conv2d, GlobalAvgPool, Linear, Sequential } from '../../lib/nn/index.ts';
import { sgd } from '../../lib/optim/index.ts';
import { Device } from '../../lib/program.ts';
import { evaluateCheckpoint, readCheckpoint, Trainer } from '../../lib/train/index.ts';
import { runChild, temporaryFolder, weightsHash } from './processes.ts';
import { streamedOf } from './streamed.ts';
import { testDevice, tinyData, tinyModel, tinyRun } from './tiny.ts';

/** Of one whole run in `output`. */
async function trained(output: string, options: Parameters<typeof tinyRun>[0] = {}): Promise<string> {
  await using trainer = await Trainer.create(tinyRun({ output, epochs: 1, ...options }));
  await trainer.fit();
  return join(output, 'last.safetensors');
}

it('stops at a loss that is not finite, names step and last good checkpoint, and keeps it', async () => {
  await using folder = await temporaryFolder();
  const output = join(folder.path, 'run');
  const last = join(output, 'last.safetensors');
  const burst = (step: number) => (step === 14 ? 1e30 : 0.05);
  const trainer = await Trainer.create(tinyRun({ output, schedule: burst, stepsPerCall: 4 }));
  await expect(trainer.fit()).rejects.toMatchObject({
    name: 'TrainingError',
    code: 'ERR_NOT_FINITE',
    message: expect.stringMatching(
      /^loss is (NaN|Infinity) after step 1[5-9] \(epoch 2\).*run\/last\.safetensors \(step 12\)/,
    ),
  });
  await trainer.close();
  const { info, variables } = await readCheckpoint(last);
  expect(info.position.step).toBe(12);
  for (const { data } of variables.values()) expect(data.every(Number.isFinite)).toBe(true);
  await using resumed = await Trainer.create(tinyRun({ output, resume: last }));
  expect((await resumed.fit()).status).toBe('completed');
});

it('does not save parameters that are not finite over a good checkpoint', async () => {
  await using folder = await temporaryFolder();
  const output = join(folder.path, 'run');
  const burst = (step: number) => (step === 13 ? 1e10 : 0);
  const optimizer = sgd({ weightDecay: 1e30 }); // the loss of the step is finite, what the update leaves is not
  const options = { output, optimizer, schedule: burst, stepsPerCall: 1, recoveryInterval: 2 };
  const trainer = await Trainer.create(tinyRun(options));
  await expect(trainer.fit()).rejects.toMatchObject({
    code: 'ERR_NOT_FINITE',
    message: expect.stringContaining('(step 12)'),
  });
  await trainer.close();
  expect((await readCheckpoint(join(output, 'last.safetensors'))).info.position.step).toBe(12);
});

it('refuses a folder that holds a run, unless told to overwrite it', async () => {
  await using folder = await temporaryFolder();
  const last = await trained(folder.path);
  const before = await readFile(last);
  await expect(Trainer.create(tinyRun({ output: folder.path }))).rejects.toMatchObject({
    code: 'ERR_OUTPUT',
    message: expect.stringMatching(/already holds a run.*--resume .*last\.safetensors.*--overwrite/),
  });
  expect(await readFile(last)).toEqual(before);
  await writeFile(join(folder.path, 'notes.txt'), 'of the user');
  await (await Trainer.create(tinyRun({ output: folder.path, overwrite: true }))).close();
  expect((await readdir(folder.path)).sort()).toEqual(['configuration.json', 'notes.txt']);
});

it('finds out before training that a folder cannot be written, and leaves nothing behind', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'file');
  await writeFile(file, '');
  await expect(Trainer.create(tinyRun({ output: join(file, 'run') }))).rejects.toMatchObject({ code: 'ERR_OUTPUT' });
  await expect(Trainer.create(tinyRun({ output: join(folder.path, 'run'), device: 'cuda:99' }))).rejects.toThrow(
    'cuda:99',
  );
  expect(await readdir(folder.path)).toEqual(['file']);
});

it.skipIf(process.getuid?.() === 0)('finds out before training that a folder is read-only', async () => {
  await using folder = await temporaryFolder();
  const output = join(folder.path, 'read-only');
  await mkdir(output);
  await chmod(output, 0o500);
  await expect(Trainer.create(tinyRun({ output }))).rejects.toMatchObject({ code: 'ERR_OUTPUT' });
});

it('lists what differs in a checkpoint of another model', async () => {
  await using folder = await temporaryFolder();
  const resume = await trained(join(folder.path, 'a'));
  await expect(Trainer.create(tinyRun({ model: tinyModel(6), resume }))).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringContaining('0.weight: is [4,3,3,3], wanted [6,3,3,3]'),
  });
  const shallow = new Sequential(new Conv2d(3, 4, 3, { bias: false }), new GlobalAvgPool(), new Linear(4, 2));
  const other = Trainer.create(tinyRun({ model: shallow, resume }));
  const message = await other.then(String, ({ message }: Error) => message);
  expect(message).toMatch(/missing \(4\):\n {4}2\.weight \[2,4\]/);
  expect(message).toMatch(/unexpected \(10\):\n/);
  expect(message).toContain('optimizer.momentum.4.bias [2]');
});

it.each([
  ['batchSize', { batchSize: 7 }, 'batch size: the checkpoint has 8, this run 7'],
  ['seed', { seed: 9 }, 'seed: the checkpoint has 3, this run 9'],
  ['data', { data: tinyData(97) }, 'normalisation'],
])('does not continue with another %s', async (_, options, message) => {
  await using folder = await temporaryFolder();
  const resume = await trained(folder.path);
  await expect(Trainer.create(tinyRun({ resume, ...options }))).rejects.toThrow(message);
});

it('names the tensor that is damaged', async () => {
  await using folder = await temporaryFolder();
  const resume = await trained(folder.path);
  const file = await open(resume, 'r+');
  const { size } = await file.stat();
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, size - 1);
  await file.write(Buffer.of((byte[0] as number) ^ 1), 0, 1, size - 1);
  await file.close();
  await expect(Trainer.create(tinyRun({ resume }))).rejects.toMatchObject({
    code: 'ERR_CHECKPOINT',
    message: expect.stringMatching(/last\.safetensors.*tensor "[\w.]+".*checksum/),
  });
});

it.each([
  ['batchSize', { batchSize: 0 }, 'batchSize is 0'],
  ['batchSize', { batchSize: 97 }, 'only 96 training pictures'],
  ['epochs', { epochs: 1.5 }, 'epochs is 1.5'],
  ['seed', { seed: -1 }, 'seed is -1'],
  ['schedule', { schedule: () => Number.NaN }, 'learning rate of step 0 is NaN'],
  ['schedule', { schedule: () => 1e39 }, 'learning rate of step 0 is 1e+39'],
  ['recoveryInterval', { recoveryInterval: 0 }, 'recoveryInterval is 0'],
  ['stepsPerCall', { stepsPerCall: 257 }, 'stepsPerCall is 257'],
])('refuses a bad %s before anything is allocated', async (_, options, message) => {
  await expect(Trainer.create(tinyRun(options))).rejects.toThrow(message);
});

it('refuses labels outside the classes', async () => {
  const data = tinyData();
  data.train.labels[5] = 2;
  await expect(Trainer.create(tinyRun({ data }))).rejects.toThrow(
    /picture 5 of .* has label 2, but there are 2 classes/,
  );
});

it('refuses labels that the model has no class for, and names the file', async () => {
  const { train, ...rest } = tinyData();
  const [classes, files] = [['rows', 'columns', 'dots'], Array.from(train.labels, (_, i) => `${i}.png`)];
  train.labels[5] = 2;
  const data = { ...rest, train: { ...train, classes, files }, classes };
  await expect(Trainer.create(tinyRun({ data }))).rejects.toMatchObject({
    code: 'ERR_OPTION',
    message: 'picture 5 of tiny/train (5.png) has label 2, but there are 2 classes (labels 0 to 1)',
  });
});

it('evaluates no set with labels outside the classes', async () => {
  const { test: set, classes } = tinyData();
  set.labels[3] = 99;
  const device = await Device.open(testDevice(), { threads: 1 });
  const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] };
  const info = { name: 'tiny', options: {}, classes, input: { height: 8, width: 8, channels: 3 }, normalisation };
  await expect(evaluateCheckpoint({ device, model: tinyModel(), info, set })).rejects.toMatchObject({
    code: 'ERR_OPTION',
    message: 'picture 3 of tiny/test has label 99, but there are 2 classes (labels 0 to 1)',
  });
  await device.close();
});

it('stops where a set that streams brings a label that is none of the classes', async () => {
  const resident = tinyData();
  async function* batches(order: BatchOrder) {
    for await (const batch of streamedOf(resident.train).batches(order))
      yield { ...batch, labels: batch.labels.fill(7) };
  }
  const data = {
    ...resident,
    train: { ...streamedOf(resident.train), batches },
    test: { ...streamedOf(resident.test), batches },
  };
  const { augment: _, ...options } = tinyRun({ data });
  await using trainer = await Trainer.create(options);
  for (const work of [trainer.fit(), trainer.evaluate()]) {
    await expect(work).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: expect.stringMatching(
        /softmax_cross_entropy: labels\[0\] is 7, but there are 2 classes; give 0 \.\. 1, or -1/,
      ),
    });
  }
});

it('keeps the old checkpoint when the disk is full', async () => {
  await using folder = await temporaryFolder();
  const output = join(folder.path, 'run');
  const last = await trained(output);
  const before = await weightsHash(last);
  // Files may grow to 1 kB: less than a checkpoint, more than all else that a run writes.
  const starved = await runChild({ output, epochs: 3, resume: last }, 'ulimit -f 2; trap "" XFSZ');
  expect(starved.code).toBe(1);
  expect(starved.stderr).toMatch(/last\.safetensors|best\.safetensors/);
  expect(await weightsHash(last)).toBe(before);
  expect((await readdir(output)).filter((name) => name.includes('.tmp'))).toEqual([]);
  const { code } = await runChild({ output, epochs: 3, resume: last });
  expect(code).toBe(0);
});
