import { expect, it } from 'vitest';
import { BatchNorm2d, Conv2d, Flatten, Linear, Sequential, Sigmoid } from '../../lib/nn/index.ts';
import { percentiles, percentilesFigure, Trainer, UnitPercentiles } from '../../lib/train/index.ts';
import { tinyData, tinyRun } from './tiny.ts';

it('interpolates between ranks as numpy.percentile does', () => {
  expect(percentiles([4, 1, 3, 2], [0, 0.15, 0.5, 0.85, 1])).toEqual([1, 1.45, 2.5, 3.55, 4]); // numpy 2.4.6
  expect(percentiles([7], [0.15, 0.5])).toEqual([7, 7]);
});

it("follows a unit's input over the training", async () => {
  const model = new Sequential(new Conv2d(3, 5, 8), new BatchNorm2d(5), new Sigmoid(), new Flatten(), new Linear(5, 2));
  const data = tinyData();
  const images = data.test.images.subarray(0, 7 * 8 * 8 * 3);
  const watch = new UnitPercentiles({ endPoint: '1', unit: 3, images, every: 6 });
  await using trainer = await Trainer.create(tinyRun({ model, data, epochs: 2, stepsPerCall: 2, callbacks: [watch] }));
  await trainer.fit();
  expect(watch.points.map(({ step }) => step)).toEqual([0, 6, 12, 18, 24]);
  const predictions = await trainer.predict(images, { endPoints: ['1'] });
  const unit = predictions.map(({ endPoints }) => endPoints?.['1']?.data[3] as number);
  expect(watch.points.at(-1)?.percentiles).toEqual(percentiles(unit, [0.15, 0.5, 0.85]));
  expect(watch.points[0]?.percentiles).not.toEqual(watch.points[1]?.percentiles);
});

it('draws one panel for each model, on common axes', () => {
  const points = [
    { step: 0, percentiles: [-1, 0, 1] },
    { step: 10, percentiles: [0, 1, 3] },
  ] as const;
  const svg = percentilesFigure(
    [
      { title: 'with BN', points },
      { title: 'a < b', points: points.slice(0, 1) },
    ],
    'steps',
  );
  expect(svg.match(/<polygon/g)).toHaveLength(2);
  expect(svg).toContain('a &lt; b');
  expect(svg).not.toContain('NaN');
  const median = /<polyline points="([^"]*)"/.exec(svg)?.[1];
  expect(median).toBe('44,182 364,132'); // 0 and 1 of -1 .. 3 over 200 pixels from 32 on
});

it.each([
  [{ unit: -1 }, 'unit is -1'],
  [{ every: 0 }, 'every is 0'],
])('refuses %o', (options, message) => {
  expect(() => new UnitPercentiles({ endPoint: '1', images: new Uint8Array(), ...options })).toThrow(message);
});
