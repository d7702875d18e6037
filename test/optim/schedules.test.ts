import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { schedules } from '../../lib/optim/index.ts';

const torch: Record<string, number[]> = JSON.parse(
  readFileSync(new URL('../goldens/schedules.json', import.meta.url), 'utf8'),
).content;

describe('schedules', () => {
  it.each([
    ['oneCycle', schedules.oneCycle({ peak: 0.2, totalSteps: 41 })],
    [
      'oneCycleCustom',
      schedules.oneCycle({ peak: 0.4, totalSteps: 21, pctStart: 0.45, divFactor: 10, finalDivFactor: 100 }),
    ],
    ['cosine', schedules.cosine({ base: 0.1, totalSteps: 20, minimum: 0.01 })],
    ['step', schedules.step({ base: 0.1, milestones: [4, 9] })],
    ['exponential', schedules.exponential({ base: 0.1, rate: 0.9 })],
    ['staircase', schedules.exponential({ base: 0.1, rate: 0.5, decaySteps: 3, staircase: true })],
    ['polynomial', schedules.polynomial({ base: 0.1, totalSteps: 11, power: 2 })],
  ])('%s gives the rates of PyTorch', (name, schedule) => {
    const rates = torch[name] as number[];
    expect(rates.length).toBeGreaterThan(10);
    rates.forEach((rate, step) => {
      expect(schedule(step), `step ${step}`).toBeCloseTo(rate, 12);
    });
  });

  it('one-cycle ends at peak / divFactor / finalDivFactor and stays there', () => {
    const schedule = schedules.oneCycle({ peak: 1, totalSteps: 10 });
    expect(schedule(9)).toBeCloseTo(1 / 25e4, 12);
    expect(schedule(100)).toBeCloseTo(1 / 25e4, 12);
  });

  it('exponential falls by its rate every decaySteps', () => {
    const schedule = schedules.exponential({ base: 0.4, rate: 0.25, decaySteps: 2 });
    expect([0, 1, 2, 4].map(schedule)).toEqual([0.4, 0.2, 0.1, 0.025]);
  });

  it('polynomial ends at its minimum and stays there', () => {
    const schedule = schedules.polynomial({ base: 1, totalSteps: 4, minimum: 0.25 });
    expect([0, 2, 4, 9].map(schedule)).toEqual([1, 0.625, 0.25, 0.25]);
  });

  it.each([1, 2, 3, 4])('one-cycle of %i steps is finite everywhere', (totalSteps) => {
    const schedule = schedules.oneCycle({ peak: 1, totalSteps });
    for (let step = 0; step < totalSteps; step++) expect(Number.isFinite(schedule(step))).toBe(true);
  });

  it('warm-up rises to the schedule and follows it', () => {
    const base = schedules.step({ base: 1, milestones: [8] });
    const schedule = schedules.warmup(base, { steps: 5, from: 0.5 });
    expect([0, 1, 5, 7, 8].map(schedule)).toEqual([0.5, 0.6, 1, 1, 0.1]);
  });

  it.each([
    ['constant: base', () => schedules.constant(Number.NaN)],
    ['constant: base', () => schedules.constant(-0.1)],
    ['step: base', () => schedules.step({ base: Number.POSITIVE_INFINITY, milestones: [] })],
    ['step: gamma', () => schedules.step({ base: 1, milestones: [], gamma: Number.NaN })],
    ['step: milestones[0]', () => schedules.step({ base: 1, milestones: [1.5] })],
    ['step: milestones must rise', () => schedules.step({ base: 1, milestones: [3, 3] })],
    ['cosine: totalSteps', () => schedules.cosine({ base: 1, totalSteps: 0 })],
    ['exponential: rate', () => schedules.exponential({ base: 1, rate: 0 })],
    ['exponential: decaySteps', () => schedules.exponential({ base: 1, rate: 0.9, decaySteps: -1 })],
    ['polynomial: power', () => schedules.polynomial({ base: 1, totalSteps: 4, power: 0 })],
    ['polynomial: totalSteps', () => schedules.polynomial({ base: 1, totalSteps: 1.5 })],
    ['oneCycle: peak', () => schedules.oneCycle({ peak: '0.1' as unknown as number, totalSteps: 4 })],
    ['oneCycle: divFactor', () => schedules.oneCycle({ peak: 1, totalSteps: 4, divFactor: 0 })],
    ['oneCycle: pctStart', () => schedules.oneCycle({ peak: 1, totalSteps: 4, pctStart: 2 })],
    ['warmup: steps', () => schedules.warmup(schedules.constant(1), { steps: -1 })],
  ])('%s is checked', (text, make) => {
    expect(make).toThrow(text);
  });
});
