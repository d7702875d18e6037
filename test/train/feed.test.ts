// How steps whose inputs stream in are enqueued.
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { StreamedSet } from '../../lib/data/types.ts';
import { feed } from '../../lib/train/feed.ts';
import { Trainer } from '../../lib/train/index.ts';
import { streamedOf } from './streamed.ts';
import { tinyData, tinyRun } from './tiny.ts';

/** Steps that end when the test says so, and a list of what happened. */
class Steps {
  readonly happened: string[] = [];
  readonly #ends: ((error?: Error) => void)[] = [];

  step(): Promise<void> {
    this.happened.push(`begin ${this.#ends.length}`);
    return new Promise((resolve, reject) => this.#ends.push((error) => (error ? reject(error) : resolve())));
  }

  async end(step: number, error?: Error): Promise<void> {
    this.happened.push(`end ${step}`);
    (this.#ends[step] as (error?: Error) => void)(error);
    await setImmediate();
  }
}

async function* inputs(count: number, error?: Error) {
  for (let i = 0; i < count; i += 1) yield { x: Float32Array.of(i) };
  if (error) throw error;
}

it('has three steps under way', async () => {
  const steps = new Steps();
  const fed = feed(steps, inputs(5));
  await setImmediate();
  for (const step of [0, 1, 2, 3, 4]) await steps.end(step);
  await fed;
  expect(steps.happened).toEqual([
    ...['begin 0', 'begin 1', 'begin 2', 'end 0', 'begin 3', 'end 1', 'begin 4', 'end 2', 'end 3', 'end 4'],
  ]);
});

it('throws the first error, when no step is under way any more', async () => {
  const steps = new Steps();
  const [first, second] = [new Error('first'), new Error('second')];
  let settled = false;
  const fed = feed(steps, inputs(5));
  fed.catch(() => undefined).finally(() => (settled = true));
  await setImmediate();
  await steps.end(0, first);
  await steps.end(1, second);
  expect(settled).toBe(false);
  await steps.end(2);
  await expect(fed).rejects.toBe(first);
  expect(steps.happened).not.toContain('begin 3');
});

it('throws an error of the inputs when the steps before have ended', async () => {
  const steps = new Steps();
  const unreadable = new Error('unreadable');
  const fed = feed(steps, inputs(2, unreadable));
  fed.catch(() => undefined);
  await setImmediate();
  await steps.end(0);
  await steps.end(1);
  await expect(fed).rejects.toBe(unreadable);
});

it('an evaluation of more steps than the rings hold is that of the same pictures in memory', async () => {
  const resident = tinyData(8, 300);
  const streamed = { ...resident, train: streamedOf(resident.train), test: streamedOf(resident.test) };
  await using a = await Trainer.create(tinyRun({ data: resident, batchSize: 1, augment: {} }));
  const { augment: _, ...options } = tinyRun({ data: streamed, batchSize: 1 });
  await using b = await Trainer.create({ ...options, normalisation: a.info.normalisation });
  const evaluation = await b.evaluate();
  expect(evaluation).toEqual(await a.evaluate());
  expect(evaluation.images).toBe(300);
});

/** A trainer whose test set streams as `batches` says. */
function evaluating(batches: StreamedSet['batches']): Promise<Trainer> {
  const resident = tinyData(8, 8);
  const data = { ...resident, train: streamedOf(resident.train), test: { ...streamedOf(resident.test), batches } };
  const { augment: _, ...options } = tinyRun({ data, batchSize: 1 });
  return Trainer.create({ ...options, normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } });
}

it('a set that ends before its count is an error', async () => {
  const few = streamedOf(tinyData(8, 4).test);
  await using trainer = await evaluating((order) => few.batches(order));
  await expect(trainer.evaluate()).rejects.toThrow('ended before it gave the batches');
});

it('a set is closed where an evaluation fails', async () => {
  const set = streamedOf(tinyData(8, 8).test);
  let isClosed = false;
  await using trainer = await evaluating(async function* (order) {
    try {
      for await (const batch of set.batches(order)) yield { ...batch, images: batch.images.subarray(1) };
    } finally {
      isClosed = true;
    }
  });
  await expect(trainer.evaluate()).rejects.toThrow('images');
  expect(isClosed).toBe(true);
});
