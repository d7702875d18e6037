import { stat } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { channelStatistics, openDataSet } from '../../lib/data/index.ts';
import { miniArchive } from '../../lib/data/mini.ts';
import { scratchFolder } from './helpers.ts';

describe('cifar10-mini', () => {
  it('is small, and holds 400 + 100 pictures of each of ten classes', async () => {
    expect((await stat(miniArchive())).size).toBeLessThan(2.5e6);
    const { train, test, classes } = await openDataSet('cifar10-mini', { cacheDir: await scratchFolder() });
    expect(classes.join(' ')).toBe('airplane automobile bird cat deer dog frog horse ship truck');
    expect([train.count, train.height, train.width, train.channels, test.count]).toEqual([4000, 32, 32, 3, 1000]);
    for (const label of classes.keys()) {
      expect(train.labels.filter((found) => found === label).length).toBe(400);
      expect(test.labels.filter((found) => found === label).length).toBe(100);
    }
    expect(new Set([...(train.files ?? []), ...(test.files ?? [])]).size).toBe(5000);
    // All 50,000 pictures of CIFAR-10: 0.491 0.482 0.447 and 0.247 0.243 0.262.
    const { mean, std } = channelStatistics(train);
    for (const [c, value] of [0.491, 0.482, 0.447].entries())
      expect(Math.abs((mean[c] as number) - value)).toBeLessThan(0.01);
    for (const [c, value] of [0.247, 0.243, 0.262].entries())
      expect(Math.abs((std[c] as number) - value)).toBeLessThan(0.01);
  });
});
