import { checkOptions } from '../graph/index.ts';
import { sgdUpdate } from '../ops/index.ts';
import { groupsOf, NumberCheck, type Optimizer, type OptimizerOptions, sharedOptions, stateOf } from './optimizer.ts';

/** Weight decay is an L2 penalty, added to the gradient; by default all parameters decay, as in He et al. 2015. */
export interface SgdOptions extends OptimizerOptions {
  /** Default 0. */
  readonly momentum?: number;
  /** Default false. */
  readonly nesterov?: boolean;
}

/** Stochastic gradient descent, as torch.optim.SGD. Its state is one variable `optimizer.momentum.<parameter>` each. */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions('sgd', options, ['momentum', 'nesterov', ...sharedOptions]);
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  const check = new NumberCheck('sgd');
  check.shared(options);
  check.fraction('momentum', momentum);
  if (nesterov && momentum === 0) throw check.error('momentum', momentum, 'above 0 for nesterov');
  return {
    update(graph, ...operands) {
      for (const { parameters, gradients, learningRate, scale, decays } of groupsOf(graph, ...operands, options)) {
        const buffers = momentum > 0 ? parameters.map((parameter) => stateOf(graph, 'momentum', parameter)) : [];
        const rule = { momentum, nesterov, weightDecay: decays ? weightDecay : 0 };
        sgdUpdate(parameters, gradients, { learningRate, scale, ...rule, buffers });
      }
    },
  };
}
