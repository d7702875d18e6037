import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

export interface CrossEntropyOptions {
  /** Label smoothing s: the target is (1 - s) · onehot + s / K. Default 0. */
  readonly smoothing?: number;
}

/**
 * Mean cross entropy [1] of logits [N, K] against labels (int32 [N]). Label -1 is left out of the mean; a step with any other
 * label outside 0..K-1 rejects (ERR_ARGUMENT). As torch.nn.functional.cross_entropy with ignore_index=-1.
 */
export function softmaxCrossEntropy(logits: Value, labels: Value, options: CrossEntropyOptions = {}): Value {
  const { graph } = logits;
  const check = new Check(graph, 'softmax_cross_entropy');
  check.options(options, 'smoothing');
  const shape = check.matrix('logits', logits, '[N, K]');
  check.float('logits', logits);
  check.dtype('labels', labels, 'int32');
  check.hasShape('labels', labels, [shape[0]], 'one per row of the logits');
  const smoothing = check.number('smoothing', options.smoothing ?? 0, 'from 0 to below 1', (s) => s >= 0 && s < 1);
  const loss = { shape: [1], dtype: graph.dtype, format: 'plain' } as const;
  return graph.emit('softmax_cross_entropy', [logits, labels], [loss, { ...loss, shape }], { smoothing })[0] as Value;
}

/** The probabilities [N, K] that the loss node computes beside the loss. */
export function probabilities(loss: Value): Value {
  if (loss.producer?.op !== 'softmax_cross_entropy') {
    throw new Check(loss.graph, 'probabilities').argument(`'${loss.name}' is not the output of softmaxCrossEntropy()`);
  }
  return loss.producer.outputs[1] as Value;
}

defineOp('softmax_cross_entropy', {
  gradient({ inputs: [logits, labels], outputs: [, probs], attributes }, dloss) {
    const inputs = [dloss, probs as Value, labels as Value];
    return dloss.graph.emit('softmax_cross_entropy_grad', inputs, [typeOf(logits as Value)], attributes);
  },
});
