import { expect, it } from 'vitest';
import { spread } from '../../lib/cli/statistics.ts';

// numpy: percentile (linear), mean, std with ddof=1.
it('gives quantiles, mean and deviation as numpy does', () => {
  const { median, p10, p90, mean, deviation, n } = spread([4, 1, 7, 2]);
  expect([median, p10, p90, mean, n].map((value) => Number(value.toFixed(12)))).toEqual([3, 1.3, 6.1, 3.5, 4]);
  expect(deviation).toBeCloseTo(2.6457513110645907, 12);
  expect(spread([5])).toEqual({ median: 5, p10: 5, p90: 5, mean: 5, deviation: 0, n: 1 });
});
