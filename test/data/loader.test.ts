import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Batch, batchStream, loadBatches, Sampler, type Samples } from '../../lib/data/index.ts';

/** Sample i: both pixels i, label 100 + i; the later ones are ready first. */
function samples(count: number, reading: number[] = []): Samples {
  return {
    count,
    height: 1,
    width: 2,
    channels: 1,
    async read(index, target) {
      reading.push(index);
      await setTimeout(count - index);
      target.fill(index);
      return 100 + index;
    },
  };
}

async function all(batches: AsyncIterable<Batch>): Promise<{ pixels: number[]; labels: number[] }[]> {
  const list = [];
  for await (const { images, labels } of batches) list.push({ pixels: [...images], labels: [...labels] });
  return list;
}

describe('loadBatches', () => {
  it('gives typed batches in order, the last one smaller', async () => {
    expect(await all(loadBatches(samples(5), { batchSize: 2 }))).toEqual([
      { pixels: [0, 0, 1, 1], labels: [100, 101] },
      { pixels: [2, 2, 3, 3], labels: [102, 103] },
      { pixels: [4, 4], labels: [104] },
    ]);
  });

  it('follows an order and drops the incomplete batch on request', async () => {
    const order = new Sampler({ count: 5, seed: 1 }).order(0);
    const batches = await all(loadBatches(samples(5), { batchSize: 2, order, dropLast: true }));
    expect(batches.flatMap(({ labels }) => labels)).toEqual([...order.subarray(0, 4)].map((index) => 100 + index));
  });

  it('reads ahead, but no further than asked', async () => {
    const reading: number[] = [];
    const batches = loadBatches(samples(10, reading), { batchSize: 2, prefetch: 2 });
    await batches.next();
    expect(reading).toEqual([0, 1, 2, 3, 4, 5]);
    await batches.next();
    expect(reading.length).toBe(8);
    await batches.return();
    expect(reading.length).toBe(8);
  });

  it('reports a failed read when its batch is due', async () => {
    const broken: Samples = {
      ...samples(4),
      read: async (index) => {
        if (index === 2) throw new Error('sample 2 is damaged');
        return 0;
      },
    };
    const batches = loadBatches(broken, { batchSize: 1, prefetch: 3 });
    await batches.next();
    await batches.next();
    await setTimeout(5);
    await expect(batches.next()).rejects.toThrow('sample 2 is damaged');
  });

  it.each([{ batchSize: 0 }, { batchSize: 1.5 }, { batchSize: 2, prefetch: -1 }])('refuses %j', async (options) => {
    await expect(loadBatches(samples(4), options).next()).rejects.toThrow(RangeError);
  });
});

describe('batchStream', () => {
  async function* stream(count: number) {
    for (let i = 0; i < count; i++) yield { image: Uint8Array.of(i, i), label: i };
  }

  it('cuts a stream into batches', async () => {
    const batches = await all(batchStream(stream(3), { batchSize: 2 }));
    expect(batches).toEqual([
      { pixels: [0, 0, 1, 1], labels: [0, 1] },
      { pixels: [2, 2], labels: [2] },
    ]);
    expect((await all(batchStream(stream(3), { batchSize: 2, dropLast: true }))).length).toBe(1);
  });

  it('refuses images of two sizes', async () => {
    const mixed = [
      { image: new Uint8Array(2), label: 0 },
      { image: new Uint8Array(3), label: 0 },
    ];
    await expect(all(batchStream(mixed, { batchSize: 2 }))).rejects.toThrow(/3 bytes among images of 2/);
  });
});
