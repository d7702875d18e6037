import { checkOptions } from '../graph/index.ts';
import { larsUpdate, sgdUpdate } from '../ops/index.ts';
import {
  type Group,
  groupsOf,
  NumberCheck,
  noBiasNoNorm,
  type Optimizer,
  type OptimizerOptions,
  sharedOptions,
  stateOf,
} from './optimizer.ts';

/** What `decay` leaves out (by default biases and the scales of normalisation) is neither decayed nor adapted. */
export interface LarsOptions extends OptimizerOptions {
  /** Default 0.9. */
  readonly momentum?: number;
  /** η of the paper. Default 0.001. */
  readonly trustCoefficient?: number;
}

/**
 * Layer-wise adaptive rate scaling for large batches (You, Gitman and Ginsburg 2017, algorithm 1). The learning rate of
 * each parameter is scaled by η ‖w‖ / (‖g‖ + β ‖w‖); what is left out gets plain SGD with momentum. Its state is one
 * variable `optimizer.momentum.<parameter>` each.
 */
export function lars(options: LarsOptions = {}): Optimizer {
  checkOptions('lars', options, ['momentum', 'trustCoefficient', ...sharedOptions]);
  const { momentum = 0.9, trustCoefficient = 0.001, weightDecay = 0, decay = noBiasNoNorm } = options;
  const check = new NumberCheck('lars');
  check.shared(options);
  check.fraction('momentum', momentum);
  check.above0('trustCoefficient', trustCoefficient);
  return {
    update(graph, ...operands) {
      for (const group of groupsOf(graph, ...operands, { ...options, decay })) {
        const { parameters, gradients, learningRate, scale } = group;
        const velocities = parameters.map((parameter) => stateOf(graph, 'momentum', parameter));
        if (group.decays) {
          const rule = { momentum, weightDecay, trustCoefficient };
          larsUpdate(parameters, gradients, { learningRate, scale, ...rule, velocities });
        } else plain(group, momentum, velocities);
      }
    },
  };
}

function plain(
  { parameters, gradients, learningRate, scale }: Group,
  momentum: number,
  velocities: Group['parameters'],
) {
  const buffers = momentum > 0 ? velocities : [];
  sgdUpdate(parameters, gradients, { learningRate, scale, momentum, nesterov: false, weightDecay: 0, buffers });
}
