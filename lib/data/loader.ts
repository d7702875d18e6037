import type { Batch } from './types.ts';

/** Pictures that are read one at a time, by index: what a user's own data set implements. */
export interface Samples {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Writes the pixels into `target` (height · width · channels bytes) and gives the label. */
  read(index: number, target: Uint8Array): number | Promise<number>;
}

export interface BatchOptions {
  readonly batchSize: number;
  /** Which samples, in which order; see Sampler.order. Default: all, in their own order. */
  readonly order?: Int32Array;
  /** Batches read ahead of the one in use; default 2. */
  readonly prefetch?: number;
  /** Leaves out an incomplete last batch; default false. */
  readonly dropLast?: boolean;
}

/** Batches in order, the samples of several batches being read at the same time. */
export async function* loadBatches(samples: Samples, options: BatchOptions): AsyncGenerator<Batch, void, void> {
  const { batchSize, prefetch = 2, dropLast = false } = options;
  checkPositive('batchSize', batchSize, 1);
  checkPositive('prefetch', prefetch, 0);
  const order = options.order ?? Int32Array.from({ length: samples.count }, (_, i) => i);
  const batches = dropLast ? Math.floor(order.length / batchSize) : Math.ceil(order.length / batchSize);
  const read = (i: number) => readBatch(samples, order.subarray(i * batchSize, (i + 1) * batchSize));
  yield* readAhead(0, batches, prefetch, read);
}

/** What `read` gives for from .. to - 1, in order, `ahead` more than the one in use being under way. */
export async function* readAhead<T>(
  from: number,
  to: number,
  ahead: number,
  read: (index: number) => Promise<T>,
): AsyncGenerator<T, void, void> {
  const waiting: Promise<T>[] = [];
  for (let next = from, yielded = from; yielded < to; yielded++) {
    for (; next < to && next <= yielded + ahead; next++) {
      const reading = read(next);
      // A failure is reported when its turn comes; until then it is no unhandled rejection.
      reading.catch(() => undefined);
      waiting.push(reading);
    }
    yield await (waiting.shift() as Promise<T>);
  }
}

async function readBatch(samples: Samples, indices: Int32Array): Promise<Batch> {
  const bytes = samples.height * samples.width * samples.channels;
  const images = new Uint8Array(indices.length * bytes);
  const labels = new Int32Array(indices.length);
  const reads = Array.from(indices, async (index, i) => {
    labels[i] = await samples.read(index, images.subarray(i * bytes, (i + 1) * bytes));
  });
  await Promise.all(reads);
  return { images, labels };
}

/** One sample of a user's stream. */
export interface Sample {
  readonly image: Uint8Array;
  readonly label: number;
}

/** Batches of a stream whose length and order are its own; all images must have one length. */
export async function* batchStream(
  stream: AsyncIterable<Sample> | Iterable<Sample>,
  { batchSize, dropLast = false }: Pick<BatchOptions, 'batchSize' | 'dropLast'>,
): AsyncGenerator<Batch, void, void> {
  checkPositive('batchSize', batchSize, 1);
  let held: Sample[] = [];
  let bytes: number | undefined;
  for await (const sample of stream) {
    bytes ??= sample.image.length;
    if (sample.image.length !== bytes)
      throw new RangeError(`batchStream: an image of ${sample.image.length} bytes among images of ${bytes}`);
    held.push(sample);
    if (held.length < batchSize) continue;
    yield stack(held);
    held = [];
  }
  if (held.length > 0 && !dropLast) yield stack(held);
}

function stack(samples: readonly Sample[]): Batch {
  const bytes = samples[0]?.image.length ?? 0;
  const images = new Uint8Array(samples.length * bytes);
  for (const [i, { image }] of samples.entries()) images.set(image, i * bytes);
  return { images, labels: Int32Array.from(samples, ({ label }) => label) };
}

function checkPositive(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new RangeError(`batches: ${name} must be an integer from ${least}, not ${value}`);
}
