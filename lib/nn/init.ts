// How parameters begin. Names and formulas as in torch.nn.init.
import { ArgumentError, elements, type Shape } from '../graph/index.ts';
import type { Random } from './random.ts';

/** For a shape, a source of its elements, in logical order. */
export type Initialiser = (shape: Shape, random: Random) => () => number;

export interface FanOptions {
  /** Whether the variance is kept forward (fanIn, default) or backward (fanOut). */
  readonly mode?: 'fanIn' | 'fanOut';
  /** Default √2, for layers before a ReLU. */
  readonly gain?: number;
}

export function constant(value: number): Initialiser {
  checkFinite('constant', 'value', value);
  return () => () => value;
}

export function uniform(low: number, high: number): Initialiser {
  checkFinite('uniform', 'low', low);
  checkFinite('uniform', 'high', high);
  return (_shape, random) => () => low + (high - low) * random.uniform();
}

export function normal(mean: number, std: number): Initialiser {
  checkFinite('normal', 'mean', mean);
  checkFinite('normal', 'std', std);
  return (_shape, random) => () => mean + std * random.normal();
}

/** Normal with std gain / √fan (He et al. 2015, "Delving deep into rectifiers"). */
export function kaimingNormal(options: FanOptions = {}): Initialiser {
  return (shape, random) => normal(0, kaimingStd(shape, options))(shape, random);
}

/** Uniform with std gain / √fan. */
export function kaimingUniform(options: FanOptions = {}): Initialiser {
  return (shape, random) => symmetric(Math.sqrt(3) * kaimingStd(shape, options))(shape, random);
}

/** Normal with std gain · √(2 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierNormal({ gain = 1 }: { readonly gain?: number } = {}): Initialiser {
  return (shape, random) => normal(0, xavierStd(shape, gain))(shape, random);
}

/** Uniform with std gain · √(2 / (fanIn + fanOut)). */
export function xavierUniform({ gain = 1 }: { readonly gain?: number } = {}): Initialiser {
  return (shape, random) => symmetric(Math.sqrt(3) * xavierStd(shape, gain))(shape, random);
}

/** Uniform in ±1 / √fan: torch's start for the weight and bias of a layer with `fan` inputs. */
export function uniformByFan(fan: number): Initialiser {
  return symmetric(1 / Math.sqrt(fan));
}

/** Inputs and outputs of one element of a weight [O, I, ...]: the sizes behind the first two axes multiply both. */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const [outputs, inputs] = shape;
  if (outputs === undefined || inputs === undefined) {
    throw new ArgumentError(
      `init: a fan needs at least two axes, got [${shape.join(',')}]; use constant, uniform or normal`,
    );
  }
  const receptive = elements(shape.slice(2));
  return { fanIn: inputs * receptive, fanOut: outputs * receptive };
}

function kaimingStd(shape: Shape, { mode = 'fanIn', gain = Math.SQRT2 }: FanOptions): number {
  return gain / Math.sqrt(fans(shape)[mode]);
}

function xavierStd(shape: Shape, gain: number): number {
  const { fanIn, fanOut } = fans(shape);
  return gain * Math.sqrt(2 / (fanIn + fanOut));
}

function symmetric(bound: number): Initialiser {
  return uniform(-bound, bound);
}

function checkFinite(initialiser: string, name: string, value: number): void {
  if (!Number.isFinite(value))
    throw new ArgumentError(`init.${initialiser}: ${name} must be a finite number, got ${value}`);
}
