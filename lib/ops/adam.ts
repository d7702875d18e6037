import type { Value } from '../graph/index.ts';
import { Check } from './check.ts';
import { checkCounter, checkEach, checkUpdate, type UpdateOptions } from './update.ts';

export interface AdamUpdateOptions extends UpdateOptions {
  /** int32 [1]: how many updates went before; the correction of the moments' bias follows it. */
  readonly step: Value;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Weight decay as AdamW has it: w is multiplied by 1 - learningRate · weightDecay, its gradient stays as it is. */
  readonly decoupled: boolean;
  /** One of each per parameter. */
  readonly firstMoments: readonly Value[];
  readonly secondMoments: readonly Value[];
}

/**
 * m = β₁ m + (1 − β₁) g; v = β₂ v + (1 − β₂) g²; with t = step + 1,
 * w -= learningRate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε), for all parameters in one node. As torch.optim.Adam and
 * AdamW (Kingma and Ba 2015; Loshchilov and Hutter 2019).
 */
export function adamUpdate(
  parameters: readonly Value[],
  gradients: readonly Value[],
  options: AdamUpdateOptions,
): void {
  const { learningRate, step, scale, beta1, beta2, epsilon, weightDecay, decoupled } = options;
  const { firstMoments, secondMoments } = options;
  const { graph } = learningRate;
  const check = new Check(graph, 'adam_update');
  check.options(options, 'learningRate', 'scale', 'weightDecay', ...known);
  checkCounter(check, step);
  check.number('beta1', beta1, 'from 0 to below 1', (value) => value >= 0 && value < 1);
  check.number('beta2', beta2, 'from 0 to below 1', (value) => value >= 0 && value < 1);
  check.number('epsilon', epsilon, 'a number of at least 0', (value) => value >= 0);
  check.flag('decoupled', decoupled);
  checkUpdate(check, parameters, gradients, options);
  checkEach(check, 'first moment', parameters, firstMoments);
  checkEach(check, 'second moment', parameters, secondMoments);
  const inputs = [learningRate, step, ...(scale ? [scale] : []), ...gradients];
  const attributes = { beta1, beta2, epsilon, weight_decay: weightDecay, decoupled, scaled: scale !== undefined };
  graph.emit('adam_update', inputs, [...parameters, ...firstMoments, ...secondMoments], attributes);
}

const known = ['step', 'beta1', 'beta2', 'epsilon', 'decoupled', 'firstMoments', 'secondMoments'];
