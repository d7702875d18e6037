// Learning rates as pure functions of the step, counted from 0.
import { ArgumentError, checkOptions } from '../graph/index.ts';

export type Schedule = (step: number) => number;

/** The same rate for ever. */
export function constant(base: number): Schedule {
  checkRate('constant', 'base', base);
  return () => base;
}

export interface StepOptions {
  readonly base: number;
  /** Steps at which the rate is multiplied by gamma, rising. */
  readonly milestones: readonly number[];
  /** Default 0.1. */
  readonly gamma?: number;
}

/** Piecewise constant, as torch's MultiStepLR. */
export function step(options: StepOptions): Schedule {
  checkOptions('step', options, ['base', 'milestones', 'gamma']);
  const { base, milestones, gamma = 0.1 } = options;
  checkRate('step', 'base', base);
  checkRate('step', 'gamma', gamma);
  milestones.forEach((milestone, i) => {
    checkCount('step', `milestones[${i}]`, milestone, 0);
    const previous = milestones[i - 1];
    if (previous !== undefined && previous >= milestone) {
      throw new ArgumentError(`step: milestones must rise, got ${previous} before ${milestone}`);
    }
  });
  return (at) => base * gamma ** milestones.filter((milestone) => at >= milestone).length;
}

export interface CosineOptions {
  readonly base: number;
  readonly totalSteps: number;
  /** The rate at the end. Default 0. */
  readonly minimum?: number;
}

/** From base to minimum along half a cosine (Loshchilov and Hutter 2017), as torch's CosineAnnealingLR; minimum ever after. */
export function cosine(options: CosineOptions): Schedule {
  checkOptions('cosine', options, ['base', 'totalSteps', 'minimum']);
  const { base, totalSteps, minimum = 0 } = options;
  checkRate('cosine', 'base', base);
  checkRate('cosine', 'minimum', minimum);
  checkCount('cosine', 'totalSteps', totalSteps, 1);
  return (at) => anneal(base, minimum, Math.min(at / totalSteps, 1));
}

export interface ExponentialOptions {
  readonly base: number;
  /** The rate is multiplied by this every decaySteps. */
  readonly rate: number;
  /** Default 1. */
  readonly decaySteps?: number;
  /** Whether the rate falls only at whole multiples of decaySteps. Default false. */
  readonly staircase?: boolean;
}

/** base · rate^(step / decaySteps); with decaySteps 1 torch's ExponentialLR, with staircase its StepLR. */
export function exponential(options: ExponentialOptions): Schedule {
  checkOptions('exponential', options, ['base', 'rate', 'decaySteps', 'staircase']);
  const { base, rate, decaySteps = 1, staircase = false } = options;
  checkRate('exponential', 'base', base);
  checkPositive('exponential', 'rate', rate);
  checkPositive('exponential', 'decaySteps', decaySteps);
  return (at) => base * rate ** (staircase ? Math.floor(at / decaySteps) : at / decaySteps);
}

export interface PolynomialOptions {
  readonly base: number;
  readonly totalSteps: number;
  /** Default 1: a straight line. */
  readonly power?: number;
  /** The rate at the end. Default 0. */
  readonly minimum?: number;
}

/** minimum + (base - minimum) · (1 - step / totalSteps)^power, as torch's PolynomialLR; minimum ever after. */
export function polynomial(options: PolynomialOptions): Schedule {
  checkOptions('polynomial', options, ['base', 'totalSteps', 'power', 'minimum']);
  const { base, totalSteps, power = 1, minimum = 0 } = options;
  checkRate('polynomial', 'base', base);
  checkRate('polynomial', 'minimum', minimum);
  checkPositive('polynomial', 'power', power);
  checkCount('polynomial', 'totalSteps', totalSteps, 1);
  return (at) => minimum + (base - minimum) * (1 - Math.min(at / totalSteps, 1)) ** power;
}

export interface OneCycleOptions {
  readonly peak: number;
  readonly totalSteps: number;
  /** Share of the steps in which the rate rises. Default 0.3. */
  readonly pctStart?: number;
  /** The first rate is peak / divFactor. Default 25. */
  readonly divFactor?: number;
  /** The last rate is the first / finalDivFactor. Default 1e4. */
  readonly finalDivFactor?: number;
}

/** Up to the peak and down to almost nothing, both along cosines (Smith and Topin 2017), as torch's OneCycleLR. */
export function oneCycle(options: OneCycleOptions): Schedule {
  checkOptions('oneCycle', options, ['peak', 'totalSteps', 'pctStart', 'divFactor', 'finalDivFactor']);
  const { peak, totalSteps, pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4 } = options;
  checkRate('oneCycle', 'peak', peak);
  checkCount('oneCycle', 'totalSteps', totalSteps, 1);
  checkPositive('oneCycle', 'divFactor', divFactor);
  checkPositive('oneCycle', 'finalDivFactor', finalDivFactor);
  if (!(pctStart >= 0 && pctStart <= 1))
    throw new ArgumentError(`oneCycle: pctStart must be from 0 to 1, got ${pctStart}`);
  const first = peak / divFactor;
  const top = pctStart * totalSteps - 1;
  const last = totalSteps - 1;
  return (at) => {
    if (at < top) return anneal(first, peak, at / top);
    return anneal(peak, first / finalDivFactor, last > top ? Math.min((at - top) / (last - top), 1) : 1);
  };
}

export interface WarmupOptions {
  readonly steps: number;
  /** The rate at step 0. Default 0. */
  readonly from?: number;
}

/** Rises in a straight line to what `schedule` gives at the end of the warm-up, then follows it. */
export function warmup(schedule: Schedule, options: WarmupOptions): Schedule {
  checkOptions('warmup', options, ['steps', 'from']);
  const { steps, from = 0 } = options;
  checkCount('warmup', 'steps', steps, 0);
  checkRate('warmup', 'from', from);
  return (at) => (at < steps ? from + ((schedule(steps) - from) * at) / steps : schedule(at));
}

function anneal(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
}

function checkRate(schedule: string, name: string, value: number): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return;
  throw new ArgumentError(`${schedule}: ${name} must be a finite number of at least 0, got ${String(value)}`);
}

function checkPositive(schedule: string, name: string, value: number): void {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return;
  throw new ArgumentError(`${schedule}: ${name} must be a finite number above 0, got ${String(value)}`);
}

function checkCount(schedule: string, name: string, value: number, minimum: number): void {
  if (Number.isInteger(value) && value >= minimum) return;
  throw new ArgumentError(`${schedule}: ${name} must be an integer of at least ${minimum}, got ${String(value)}`);
}
