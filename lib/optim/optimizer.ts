import type { Graph, Value } from '../graph/index.ts';

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
