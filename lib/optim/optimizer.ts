import { ArgumentError, type Graph, type Value } from '../graph/index.ts';
import { clipGradNorm, weightedSum } from '../ops/index.ts';

/** Whether the parameter of this name is subject to weight decay. */
export type DecayRule = (name: string, parameter: Value) => boolean;

export interface Optimizer {
  /**
   * Emits the nodes that update `parameters` (variables) by their `gradients`, in the same order. `learningRate` is a
   * float [1], usually an input of the step.
   */
  update(graph: Graph, parameters: readonly Value[], gradients: readonly Value[], learningRate: Value): void;
}

/** Decay for weights only: not for biases nor for the scales of normalisation, which have one axis. */
export const noBiasNoNorm: DecayRule = (_name, { shape }) => shape.length > 1;

/** What every optimizer takes. */
export interface OptimizerOptions {
  /** Default 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. */
  readonly decay?: DecayRule;
  /** Factor on the learning rate of the parameter of this name. Default 1. */
  readonly lrFactor?: (name: string) => number;
  /** Gradients are scaled down to this common norm where they exceed it. */
  readonly maxNorm?: number;
}

/** Parameters that are updated alike. */
export interface Group {
  readonly parameters: readonly Value[];
  readonly gradients: readonly Value[];
  readonly learningRate: Value;
  /** Factor on the gradients, where they are clipped. */
  readonly scale: Value | undefined;
  readonly decays: boolean;
}

/** The options that groupsOf() takes. */
export const sharedOptions = ['weightDecay', 'decay', 'lrFactor', 'maxNorm'] as const;

/** Clips over all parameters, then parts them by the decay rule and the factor on their rate. */
export function groupsOf(
  graph: Graph,
  parameters: readonly Value[],
  gradients: readonly Value[],
  learningRate: Value,
  { decay = () => true, lrFactor = () => 1, maxNorm }: OptimizerOptions,
): Group[] {
  const { norm, scale } = maxNorm === undefined ? {} : clipGradNorm(gradients, { maxNorm });
  if (norm) graph.name(norm, 'gradient_norm');
  const members = parameters.map((parameter, i) => {
    const { name } = parameter;
    return {
      parameter,
      gradient: gradients[i] as Value,
      decays: decay(name, parameter),
      factor: factorOf(name, lrFactor),
    };
  });
  return [...new Set(members.map(({ factor }) => factor))].flatMap((factor) => {
    const rate = factor === 1 ? learningRate : weightedSum([learningRate], [factor]);
    return [true, false].flatMap((decays) => {
      const own = members.filter((member) => member.decays === decays && member.factor === factor);
      if (own.length === 0) return [];
      const values = {
        parameters: own.map(({ parameter }) => parameter),
        gradients: own.map(({ gradient }) => gradient),
      };
      return [{ ...values, learningRate: rate, scale, decays }];
    });
  });
}

function factorOf(name: string, lrFactor: (name: string) => number): number {
  const factor = lrFactor(name);
  if (isFrom(0, factor) && factor > 0) return factor;
  throw new ArgumentError(
    `lrFactor of '${name}' must be a finite number above 0, got ${String(factor)}; to leave it as it is, freeze it`,
  );
}

/** The optimizer's memory of a parameter: the variable `optimizer.<kind>.<parameter>`, zero at first. */
export function stateOf(graph: Graph, kind: string, { name, shape, dtype, format }: Value): Value {
  return graph.variable(`optimizer.${kind}.${name}`, { shape, dtype, format });
}

/** The checks of numbers that optimizers share; its errors begin with the optimizer's name. */
export class NumberCheck {
  readonly #optimizer: string;

  constructor(optimizer: string) {
    this.#optimizer = optimizer;
  }

  shared({ weightDecay, maxNorm }: OptimizerOptions): void {
    this.atLeast0('weightDecay', weightDecay);
    this.above0('maxNorm', maxNorm);
  }

  atLeast0(name: string, value: number | undefined): void {
    if (value !== undefined && !isFrom(0, value)) throw this.error(name, value, 'a finite number of at least 0');
  }

  above0(name: string, value: number | undefined): void {
    if (value !== undefined && !(isFrom(0, value) && value > 0))
      throw this.error(name, value, 'a finite number above 0');
  }

  fraction(name: string, value: number | undefined): void {
    if (value !== undefined && !(isFrom(0, value) && value < 1)) throw this.error(name, value, 'from 0 to below 1');
  }

  error(name: string, value: unknown, words: string): ArgumentError {
    return new ArgumentError(`${this.#optimizer}: ${name} must be ${words}, got ${String(value)}`);
  }
}

function isFrom(minimum: number, value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= minimum;
}
