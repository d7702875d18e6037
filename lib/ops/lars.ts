import type { Value } from '../graph/index.ts';
import { Check } from './check.ts';
import { checkEach, checkUpdate, type UpdateOptions } from './update.ts';

export interface LarsUpdateOptions extends UpdateOptions {
  readonly momentum: number;
  /** η: how far a parameter may move, relative to its norm. */
  readonly trustCoefficient: number;
  /** One per parameter. */
  readonly velocities: readonly Value[];
}

/**
 * λ = η ‖w‖ / (‖g‖ + β ‖w‖), 1 where either norm is 0; v = momentum · v + learningRate · λ · (g + β w); w -= v, with the
 * weight decay β and a λ of each parameter's own (You, Gitman and Ginsburg 2017, algorithm 1). All in one node.
 */
export function larsUpdate(
  parameters: readonly Value[],
  gradients: readonly Value[],
  options: LarsUpdateOptions,
): void {
  const { learningRate, scale, momentum, weightDecay, trustCoefficient, velocities } = options;
  const { graph } = learningRate;
  const check = new Check(graph, 'lars_update');
  check.options(options, 'learningRate', 'scale', 'momentum', 'weightDecay', 'trustCoefficient', 'velocities');
  check.number('momentum', momentum, 'from 0 to below 1', (value) => value >= 0 && value < 1);
  check.number('trustCoefficient', trustCoefficient, 'a number above 0', (value) => value > 0);
  checkUpdate(check, parameters, gradients, options);
  checkEach(check, 'velocity', parameters, velocities);
  const inputs = [learningRate, ...(scale ? [scale] : []), ...gradients];
  const attributes = { momentum, weight_decay: weightDecay, trust: trustCoefficient, scaled: scale !== undefined };
  graph.emit('lars_update', inputs, [...parameters, ...velocities], attributes);
}
