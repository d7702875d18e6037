import { defineOp, shapeText, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

export interface BatchNormInferenceOptions {
  /** Scale per channel. */
  readonly weight: Value;
  readonly bias: Value;
  readonly runningMean: Value;
  readonly runningVar: Value;
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
}

export interface BatchNormOptions extends BatchNormInferenceOptions {
  /** Share of the new batch in the running statistics: new = (1 - momentum) · old + momentum · batch. Default 0.1, as in torch. */
  readonly momentum?: number;
}

const operands = ['weight', 'bias', 'runningMean', 'runningVar'] as const;

/** Normalises each channel by the statistics of the batch and updates the running ones, which must be variables. */
export function batchNorm(x: Value, options: BatchNormOptions): Value {
  const { graph } = x;
  const { weight, bias, runningMean, runningVar } = options;
  const check = new Check(graph, 'batch_norm');
  check.options(options, ...operands, 'epsilon', 'momentum');
  const epsilon = checkOperands(check, x, options);
  const momentum = check.number('momentum', options.momentum ?? 0.1, 'from 0 to 1', (m) => m >= 0 && m <= 1);
  check.variable('runningMean', runningMean);
  check.variable('runningVar', runningVar);
  const [n, c, h, w] = x.shape as unknown as [number, number, number, number];
  if (n * h * w === 1) {
    throw check.shape(
      `training needs more than one value per channel, got input ${shapeText(x.shape)}; use a larger batch`,
    );
  }
  const statistic = { shape: [c], dtype: graph.dtype, format: 'plain' } as const;
  const outputs = [typeOf(x), statistic, statistic, runningMean, runningVar];
  return graph.emit('batch_norm', [x, weight, bias], outputs, { epsilon, momentum })[0] as Value;
}

/** Normalises each channel by the running statistics. */
export function batchNormInference(x: Value, options: BatchNormInferenceOptions): Value {
  const { weight, bias, runningMean, runningVar } = options;
  const check = new Check(x.graph, 'batch_norm_inference');
  check.options(options, ...operands, 'epsilon');
  const epsilon = checkOperands(check, x, options);
  const inputs = [x, weight, bias, runningMean, runningVar];
  return x.graph.emit('batch_norm_inference', inputs, [typeOf(x)], { epsilon })[0] as Value;
}

function checkOperands(check: Check, x: Value, options: BatchNormInferenceOptions): number {
  const [, c] = check.activation('input', x);
  check.float('input', x);
  for (const name of operands) {
    check.full(name, options[name]);
    check.hasShape(name, options[name], [c], `one number per channel of the input ${shapeText(x.shape)}`);
  }
  return check.number('epsilon', options.epsilon ?? 1e-5, 'a number above 0', (value) => value > 0);
}

defineOp('batch_norm', {
  gradient({ inputs, outputs: [, mean, invstd] }, dy) {
    const [x, weight, bias] = inputs as [Value, Value, Value];
    const saved = [dy, x, weight, mean as Value, invstd as Value];
    return dy.graph.emit('batch_norm_grad', saved, [typeOf(x), typeOf(weight), typeOf(bias)]);
  },
  lowPrecision: { inputs: [0], outputs: [0] },
});

defineOp('batch_norm_inference', {
  gradient({ inputs, attributes }, dy) {
    const [x, weight, bias, mean, variance] = inputs as [Value, Value, Value, Value, Value];
    const outputs = [typeOf(x), typeOf(weight), typeOf(bias)];
    return dy.graph.emit('batch_norm_inference_grad', [dy, x, weight, mean, variance], outputs, attributes);
  },
  lowPrecision: { inputs: [0], outputs: [0] },
});
