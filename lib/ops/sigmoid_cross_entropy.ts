import { defineOp, shapeText, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

export interface SigmoidCrossEntropyOptions {
  /** Label smoothing s: the target is (1 - s) · target + s / 2. Default 0. */
  readonly smoothing?: number;
}

/**
 * Mean binary cross entropy [1] of logits [N, K], every class for itself. Targets are probabilities [N, K] in the
 * graph's own dtype, as torch.nn.functional.binary_cross_entropy_with_logits, or class indices (int32 [N]), which stand
 * for their one-hot rows: label -1 is left out of the mean; a step with any other label outside 0..K-1 rejects.
 */
export function sigmoidCrossEntropy(logits: Value, targets: Value, options: SigmoidCrossEntropyOptions = {}): Value {
  const { graph } = logits;
  const check = new Check(graph, 'sigmoid_cross_entropy');
  check.options(options, 'smoothing');
  const [n, k] = check.matrix('logits', logits, '[N, K]');
  check.float('logits', logits);
  check.dtype('targets', targets, 'int32', graph.dtype);
  const expected = targets.dtype === 'int32' ? [n] : [n, k];
  check.hasShape('targets', targets, expected, `for logits ${shapeText(logits.shape)}`);
  const smoothing = check.number('smoothing', options.smoothing ?? 0, 'from 0 to below 1', (s) => s >= 0 && s < 1);
  const loss = { shape: [1], dtype: graph.dtype, format: 'plain' } as const;
  return graph.emit('sigmoid_cross_entropy', [logits, targets], [loss], { smoothing })[0] as Value;
}

defineOp('sigmoid_cross_entropy', {
  gradient({ inputs: [logits, targets], attributes }, dloss) {
    const inputs = [dloss, logits as Value, targets as Value];
    return dloss.graph.emit('sigmoid_cross_entropy_grad', inputs, [typeOf(logits as Value)], attributes);
  },
});
