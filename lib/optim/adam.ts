import { checkOptions } from '../graph/index.ts';
import { adamUpdate, increment } from '../ops/index.ts';
import { groupsOf, NumberCheck, type Optimizer, type OptimizerOptions, sharedOptions, stateOf } from './optimizer.ts';

export interface AdamOptions extends OptimizerOptions {
  /** Decay of the running means of the gradient and of its square. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  readonly epsilon?: number;
}

/**
 * Adam (Kingma and Ba 2015), as torch.optim.Adam: weight decay is added to the gradient. Its state is
 * `optimizer.first.<parameter>` and `optimizer.second.<parameter>` each, and the counter `optimizer.step`.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return adaptive('adam', options, false);
}

/**
 * AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW but for the default of weightDecay, which is 0 here: weights
 * shrink by learningRate · weightDecay of themselves, whatever their gradients.
 */
export function adamw(options: AdamOptions = {}): Optimizer {
  return adaptive('adamw', options, true);
}

function adaptive(name: string, options: AdamOptions, decoupled: boolean): Optimizer {
  checkOptions(name, options, ['betas', 'epsilon', ...sharedOptions]);
  const { betas: [beta1, beta2] = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0 } = options;
  const check = new NumberCheck(name);
  check.shared(options);
  check.fraction('betas[0]', beta1);
  check.fraction('betas[1]', beta2);
  check.atLeast0('epsilon', epsilon);
  return {
    update(graph, ...operands) {
      const step = graph.variable('optimizer.step', { shape: [1], dtype: 'int32' });
      for (const { parameters, gradients, learningRate, scale, decays } of groupsOf(graph, ...operands, options)) {
        const firstMoments = parameters.map((parameter) => stateOf(graph, 'first', parameter));
        const secondMoments = parameters.map((parameter) => stateOf(graph, 'second', parameter));
        const rule = { beta1, beta2, epsilon, weightDecay: decays ? weightDecay : 0, decoupled };
        adamUpdate(parameters, gradients, { learningRate, step, scale, ...rule, firstMoments, secondMoments });
      }
      increment(step);
    },
  };
}
