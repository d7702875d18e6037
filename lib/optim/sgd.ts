import { ArgumentError, checkOptions, type Graph, type Value } from '../graph/index.ts';
import { clipGradNorm, sgdUpdate } from '../ops/index.ts';
import type { DecayRule, Optimizer } from './optimizer.ts';

export interface SgdOptions {
  /** Default 0. */
  readonly momentum?: number;
  /** Default false. */
  readonly nesterov?: boolean;
  /** L2 penalty, added to the gradient. Default 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: all, as in He et al. 2015. */
  readonly decay?: DecayRule;
  /** Gradients are scaled down to this common norm where they exceed it. */
  readonly maxNorm?: number;
}

/** Stochastic gradient descent, as torch.optim.SGD. Its state is one variable `optimizer.momentum.<parameter>` each. */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions('sgd', options, ['momentum', 'nesterov', 'weightDecay', 'decay', 'maxNorm']);
  const { momentum = 0, nesterov = false, weightDecay = 0, decay = () => true, maxNorm } = options;
  checkNumbers({ momentum, nesterov, weightDecay, maxNorm });
  return {
    update(graph, parameters, gradients, learningRate) {
      const { norm, scale } = maxNorm === undefined ? {} : clipGradNorm(gradients, { maxNorm });
      if (norm) graph.name(norm, 'gradient_norm');
      for (const decays of [true, false]) {
        const group = parameters.flatMap((parameter, i) =>
          decay(parameter.name, parameter) === decays ? [[parameter, gradients[i] as Value] as const] : [],
        );
        if (group.length === 0) continue;
        const own = group.map(([parameter]) => parameter);
        const buffers = momentum > 0 ? own.map((parameter) => momentumOf(graph, parameter)) : [];
        const decayed = decays ? weightDecay : 0;
        sgdUpdate(
          own,
          group.map(([, gradient]) => gradient),
          { learningRate, scale, momentum, nesterov, weightDecay: decayed, buffers },
        );
      }
    },
  };
}

function momentumOf(graph: Graph, { name, shape, dtype, format }: Value): Value {
  return graph.variable(`optimizer.momentum.${name}`, { shape, dtype, format });
}

function checkNumbers(options: Record<string, unknown>): void {
  const { momentum, weightDecay, maxNorm } = options;
  const say = (name: string, words: string) =>
    new ArgumentError(`sgd: ${name} must be ${words}, got ${String(options[name])}`);
  if (!isFrom(0, momentum) || momentum >= 1) throw say('momentum', 'from 0 to below 1');
  if (!isFrom(0, weightDecay)) throw say('weightDecay', 'a finite number of at least 0');
  if (maxNorm !== undefined && !(isFrom(0, maxNorm) && maxNorm > 0)) throw say('maxNorm', 'a finite number above 0');
  if (options.nesterov && momentum === 0) throw say('momentum', 'above 0 for nesterov');
}

function isFrom(minimum: number, value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= minimum;
}
