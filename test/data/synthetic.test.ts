import { describe, expect, it } from 'vitest';
import { type ImageSet, openDataSet, syntheticDataSet } from '../../lib/data/index.ts';

/** Ridge regression of the one-hot classes on all pixels (and a constant), solved in closed form. */
function linearAccuracy(train: ImageSet, test: ImageSet): number {
  const size = train.images.length / train.count + 1;
  const classes = train.classes.length;
  const gram = new Float64Array(size * size);
  const target = new Float64Array(size * classes);
  for (let n = 0; n < train.count; n++) {
    const x = features(train, n);
    for (let i = 0; i < size; i++) {
      const xi = x[i] as number;
      for (let j = i; j < size; j++) (gram[i * size + j] as number) += xi * (x[j] as number);
      (target[i * classes + (train.labels[n] as number)] as number) += xi;
    }
  }
  for (let i = 0; i < size; i++) (gram[i * size + i] as number) += 1e-2 * train.count;
  const weights = choleskySolve(gram, target, size, classes);
  let correct = 0;
  for (let n = 0; n < test.count; n++) {
    const x = features(test, n);
    const scores = new Float64Array(classes);
    for (let i = 0; i < size; i++)
      for (let k = 0; k < classes; k++)
        (scores[k] as number) += (x[i] as number) * (weights[i * classes + k] as number);
    if (scores.indexOf(Math.max(...scores)) === test.labels[n]) correct++;
  }
  return correct / test.count;
}

function features({ images, count }: ImageSet, n: number): Float64Array {
  const bytes = images.length / count;
  const x = new Float64Array(bytes + 1).fill(1);
  for (let i = 0; i < bytes; i++) x[i] = (images[n * bytes + i] as number) / 255 - 0.5;
  return x;
}

/** Solves A X = B for a symmetric A given by its upper triangle; overwrites both. */
function choleskySolve(a: Float64Array, b: Float64Array, size: number, columns: number): Float64Array {
  const at = (i: number, j: number) => a[i * size + j] as number;
  for (let i = 0; i < size; i++) {
    a[i * size + i] = Math.sqrt(at(i, i));
    for (let j = i + 1; j < size; j++) (a[i * size + j] as number) /= at(i, i);
    for (let r = i + 1; r < size; r++) {
      const factor = at(i, r);
      for (let j = r; j < size; j++) (a[r * size + j] as number) -= factor * at(i, j);
    }
  }
  for (let k = 0; k < columns; k++) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < i; j++) (b[i * columns + k] as number) -= at(j, i) * (b[j * columns + k] as number);
      (b[i * columns + k] as number) /= at(i, i);
    }
    for (let i = size - 1; i >= 0; i--) {
      for (let j = i + 1; j < size; j++) (b[i * columns + k] as number) -= at(i, j) * (b[j * columns + k] as number);
      (b[i * columns + k] as number) /= at(i, i);
    }
  }
  return b;
}

describe('the generated set', () => {
  it('depends on its options alone', () => {
    const options = { trainCount: 20, testCount: 10, seed: 3 };
    const first = syntheticDataSet(options);
    expect(syntheticDataSet(options)).toEqual(first);
    expect(syntheticDataSet({ ...options, seed: 4 }).train.images).not.toEqual(first.train.images);
    expect(first.test.images.subarray(0, 3072)).not.toEqual(first.train.images.subarray(0, 3072));
  });

  it('has any size, number of classes and channels, and balanced classes', async () => {
    const { train, test, classes } = await openDataSet('synthetic', {
      size: [12, 20],
      channels: 1,
      numClasses: 57,
      trainCount: 57 * 3,
      testCount: 57,
    });
    expect([train.height, train.width, train.channels, train.count, test.count]).toEqual([12, 20, 1, 171, 57]);
    expect(train.images.length).toBe(171 * 12 * 20);
    expect(new Set(classes).size).toBe(57);
    for (let k = 0; k < 57; k++) expect(train.labels.filter((label) => label === k).length).toBe(3);
  });

  it('is too hard for a linear model', () => {
    const { train, test } = syntheticDataSet({ size: [16, 16], channels: 1, trainCount: 3000, testCount: 1000 });
    const accuracy = linearAccuracy(train, test);
    // Chance is 0.1 with a deviation of 0.0095.
    expect(accuracy).toBeLessThan(0.2);
  });

  it('the linear model itself can learn: a brightness class is found', () => {
    const { train, test } = syntheticDataSet({ size: [8, 8], channels: 1, trainCount: 400, testCount: 100 });
    for (const set of [train, test])
      for (let n = 0; n < set.count; n++)
        set.images.fill(25 * (set.labels[n] as number), n * 64, n * 64 + 20 + (set.labels[n] as number));
    expect(linearAccuracy(train, test)).toBeGreaterThan(0.4);
  });

  it.each([{ size: [4, 32] as const }, { numClasses: 1 }, { trainCount: 0 }, { testCount: 1.5 }, { seed: -1 }])(
    'refuses %j',
    (options) => {
      expect(() => syntheticDataSet(options)).toThrow(RangeError);
    },
  );
});
