import type { Value } from '../graph/index.ts';
import { Check } from './check.ts';
import { checkEach, checkUpdate, type UpdateOptions } from './update.ts';

export interface SgdUpdateOptions extends UpdateOptions {
  readonly momentum: number;
  readonly nesterov: boolean;
  /** One buffer per parameter; none without momentum. */
  readonly buffers: readonly Value[];
}

/**
 * g = scale · g + weightDecay · w; m = momentum · m + g; w -= learningRate · (nesterov ? g + momentum · m : m), for all
 * parameters in one node. As torch.optim.SGD with dampening 0.
 */
export function sgdUpdate(parameters: readonly Value[], gradients: readonly Value[], options: SgdUpdateOptions): void {
  const { learningRate, scale, momentum, nesterov, weightDecay, buffers } = options;
  const { graph } = learningRate;
  const check = new Check(graph, 'sgd_update');
  check.options(options, 'learningRate', 'scale', 'momentum', 'nesterov', 'weightDecay', 'buffers');
  check.number('momentum', momentum, 'from 0 to below 1', (value) => value >= 0 && value < 1);
  check.flag('nesterov', nesterov);
  if (nesterov && momentum === 0) throw check.argument('nesterov needs a momentum above 0, got momentum 0');
  checkUpdate(check, parameters, gradients, options);
  if (momentum > 0) checkEach(check, 'momentum buffer', parameters, buffers);
  else if (buffers.length) throw check.argument(`buffers must be empty without momentum, got ${buffers.length}`);
  const inputs = [learningRate, ...(scale ? [scale] : []), ...gradients];
  const attributes = { momentum, nesterov, weight_decay: weightDecay, scaled: scale !== undefined };
  graph.emit('sgd_update', inputs, [...parameters, ...buffers], attributes);
}
