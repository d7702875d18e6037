import { ArgumentError, type Graph, type Value } from '../graph/index.ts';
import { clipGradNorm } from '../ops/index.ts';

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

/** Clips over all parameters, then parts them by the decay rule; groups without parameters are left out. */
export function groupsOf(
  graph: Graph,
  parameters: readonly Value[],
  gradients: readonly Value[],
  learningRate: Value,
  { decay = () => true, maxNorm }: OptimizerOptions,
): Group[] {
  const { norm, scale } = maxNorm === undefined ? {} : clipGradNorm(gradients, { maxNorm });
  if (norm) graph.name(norm, 'gradient_norm');
  return [true, false].flatMap((decays) => {
    const members = parameters.flatMap((parameter, i) =>
      decay(parameter.name, parameter) === decays ? [[parameter, gradients[i] as Value] as const] : [],
    );
    if (members.length === 0) return [];
    const [own, theirs] = [members.map(([parameter]) => parameter), members.map(([, gradient]) => gradient)];
    return [{ parameters: own, gradients: theirs, learningRate, scale, decays }];
  });
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
