import { sameType, typeText, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

export interface SgdUpdateOptions {
  readonly learningRate: Value;
  /** Factor on every gradient, e.g. of clipGradNorm(). */
  readonly scale?: Value | undefined;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
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
  for (const [name, value] of [
    ['learningRate', learningRate],
    ['scale', scale],
  ] as const) {
    if (!value) continue;
    check.full(name, value);
    check.hasShape(name, value, [1], 'one number');
  }
  check.number('momentum', momentum, 'from 0 to below 1', (value) => value >= 0 && value < 1);
  check.number('weightDecay', weightDecay, 'a number of at least 0', (value) => value >= 0);
  check.flag('nesterov', nesterov);
  if (nesterov && momentum === 0) throw check.argument('nesterov needs a momentum above 0, got momentum 0');
  checkEach(check, 'gradient', parameters, gradients);
  if (momentum > 0) checkEach(check, 'momentum buffer', parameters, buffers);
  else if (buffers.length) throw check.argument(`buffers must be empty without momentum, got ${buffers.length}`);
  const inputs = [learningRate, ...(scale ? [scale] : []), ...gradients];
  const attributes = { momentum, nesterov, weight_decay: weightDecay, scaled: scale !== undefined };
  graph.emit('sgd_update', inputs, [...parameters, ...buffers], attributes);
}

function checkEach(check: Check, name: string, parameters: readonly Value[], values: readonly Value[]): void {
  if (parameters.length === 0) throw check.argument('parameters must not be empty');
  if (values.length !== parameters.length) {
    throw check.argument(`got ${parameters.length} parameters but ${values.length} of their ${name}s`);
  }
  parameters.forEach((parameter, i) => {
    const value = values[i] as Value;
    check.variable('parameter', parameter);
    if (sameType(parameter, value)) return;
    throw check.shape(`${name} of '${parameter.name}' must be ${typeText(parameter)}, got ${typeText(value)}`);
  });
}
