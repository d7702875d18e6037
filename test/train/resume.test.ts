import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { syntheticDataSet } from '../../lib/data/index.ts';
import { createModel } from '../../lib/models/index.ts';
import { readCheckpointInfo, Trainer } from '../../lib/train/index.ts';
import { Random } from '../support/random.ts';
import { runChild, startChild, temporaryFolder, weightsHash } from './processes.ts';
import { tinyRun } from './tiny.ts';

const run = { epochs: 16, recoveryInterval: 5 };
const kills = 20;
const killsPerRun = 2;

interface Line {
  imagesPerSecond: number;
  seconds: number;
}

/** metrics.jsonl without what depends on the clock. */
async function metricsOf(folder: string): Promise<object[]> {
  const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return lines.map((line) => {
    const { imagesPerSecond, seconds, ...rest } = JSON.parse(line) as Line;
    expect(imagesPerSecond).toBeGreaterThan(0);
    expect(seconds).toBeGreaterThan(0);
    return rest;
  });
}

it(`ends with the same weights and metrics, killed at ${kills} random moments and resumed`, {
  timeout: 600_000,
}, async () => {
  await using folder = await temporaryFolder();
  const whole = join(folder.path, 'whole');
  const { stdout, stderr } = await runChild({ ...run, output: whole });
  expect(stderr).toBe('');
  const { ms } = JSON.parse(stdout.split('\n')[1] as string) as { ms: number };
  const wanted = await weightsHash(join(whole, 'last.safetensors'));
  const best = await weightsHash(join(whole, 'best.safetensors'));
  const random = new Random(7);
  let killed = 0;
  for (let trial = 0; killed < kills; trial += 1) {
    const output = join(folder.path, `killed-${trial}`);
    const last = join(output, 'last.safetensors');
    for (let i = 0; i < killsPerRun; i += 1) {
      const child = startChild({ ...run, output, ...(await resumeFrom(last)) });
      await child.wrote('training');
      setTimeout(() => child.process.kill('SIGKILL'), random.uniform() * (ms / killsPerRun));
      const { signal, stderr: complaints } = await child.finished;
      expect(complaints).toBe('');
      if (signal === 'SIGKILL') killed += 1;
    }
    const { code, stderr: complaints } = await runChild({ ...run, output, ...(await resumeFrom(last)) });
    expect({ code, complaints }).toEqual({ code: 0, complaints: '' });
    expect(await weightsHash(last)).toBe(wanted);
    expect(await weightsHash(join(output, 'best.safetensors'))).toBe(best);
    expect(await metricsOf(output)).toEqual(await metricsOf(whole));
  }
});

it('does so with AdamW and averages of the weights, killed in the middle', { timeout: 600_000 }, async () => {
  await using folder = await temporaryFolder();
  const [whole, parts] = [join(folder.path, 'whole'), join(folder.path, 'parts')];
  const run = { epochs: 4, recoveryInterval: 5, stepsPerCall: 1, adaptive: true };
  expect((await runChild({ ...run, output: whole })).code).toBe(0);
  const last = join(parts, 'last.safetensors');
  const child = startChild({ ...run, output: parts });
  while (child.process.exitCode === null && (await stepOf(last)) < 5) await setTimeoutPromise(20);
  child.process.kill('SIGKILL');
  await child.finished;
  const { code, stderr } = await runChild({ ...run, output: parts, resume: last });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of ['last', 'best']) {
    const [found, wanted] = [parts, whole].map((path) => weightsHash(join(path, `${name}.safetensors`)));
    expect(await found).toBe(await wanted);
  }
  expect(await metricsOf(parts)).toEqual(await metricsOf(whole));
});

async function stepOf(file: string): Promise<number> {
  const info = await readCheckpointInfo(file).catch(() => undefined);
  return info?.position.step ?? 0;
}

/** A run that was killed before its first save starts anew. */
async function resumeFrom(last: string): Promise<{ resume: string } | { overwrite: true }> {
  const found = await stat(last).catch(() => undefined);
  return found ? { resume: last } : { overwrite: true };
}

it('gives one hash for ten runs with one seed, however steps are grouped, and another for another seed', async () => {
  await using folder = await temporaryFolder();
  const hashes = new Set<string>();
  const hashOf = async (name: string, options: Partial<Parameters<typeof tinyRun>[0]>) => {
    const output = join(folder.path, name);
    await using trainer = await Trainer.create(tinyRun({ output, threads: 2, ...options }));
    await trainer.fit();
    return weightsHash(join(output, 'last.safetensors'));
  };
  for (let i = 0; i < 10; i += 1) hashes.add(await hashOf(`run-${i}`, { stepsPerCall: 1 + 3 * i }));
  expect(hashes.size).toBe(1);
  hashes.add(await hashOf('other-seed', { seed: 4 }));
  expect(hashes.size).toBe(2);
});

it('gives one hash for a whole ResNet-20 on two threads', async () => {
  await using folder = await temporaryFolder();
  const data = syntheticDataSet({ trainCount: 32, testCount: 5 });
  const hashes = new Set<string>();
  for (let i = 0; i < 3; i += 1) {
    const output = join(folder.path, `run-${i}`);
    const model = createModel('cifar-resnet20');
    await using trainer = await Trainer.create(tinyRun({ model, data, output, threads: 2, epochs: 2 }));
    await trainer.fit();
    hashes.add(await weightsHash(join(output, 'last.safetensors')));
  }
  expect(hashes.size).toBe(1);
});

it('continues in the middle of an epoch with the metrics of the whole epoch', async () => {
  await using folder = await temporaryFolder();
  const [whole, parts] = [join(folder.path, 'whole'), join(folder.path, 'parts')];
  await using uninterrupted = await Trainer.create(tinyRun({ output: whole }));
  await uninterrupted.fit();

  const abort = new AbortController();
  const stopAfter = 17; // of 12 steps an epoch
  const callbacks = [{ onStepsEnd: ({ step }: { step: number }) => void (step >= stopAfter && abort.abort()) }];
  const first = await Trainer.create(tinyRun({ output: parts, stepsPerCall: 1, callbacks }));
  const { status, step, epoch } = await first.fit({ signal: abort.signal });
  await first.close();
  expect({ status, step, epoch }).toEqual({ status: 'interrupted', step: stopAfter, epoch: 1 });

  await using second = await Trainer.create(tinyRun({ output: parts, resume: join(parts, 'last.safetensors') }));
  expect((await second.fit()).status).toBe('completed');
  expect(await metricsOf(parts)).toEqual(await metricsOf(whole));
  const last = 'last.safetensors';
  expect(await weightsHash(join(parts, last))).toBe(await weightsHash(join(whole, last)));
});

it('drops metrics of epochs after the resumed one, and brings metrics and best into another folder', async () => {
  await using folder = await temporaryFolder();
  const [from, to] = [join(folder.path, 'from'), join(folder.path, 'to')];
  const keep = {
    name: 'keep',
    onEpochEnd: async (m: { epoch: number }, t: { save(file: string): Promise<void> }) => {
      if (m.epoch === 1) await t.save(join(from, 'first.safetensors'));
    },
  };
  await using trainer = await Trainer.create(tinyRun({ output: from, callbacks: [keep] }));
  await trainer.fit();
  await using again = await Trainer.create(tinyRun({ output: to, resume: join(from, 'first.safetensors') }));
  expect(await metricsOf(to)).toHaveLength(1);
  await again.fit();
  expect(await metricsOf(to)).toEqual(await metricsOf(from));
  expect(await stat(join(to, 'best.safetensors'))).toBeDefined();
});
