import { defineOp, shapeText, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/**
 * The one filter [O, C, kh, kw] that does what a depthwise filter [C · M, 1, kh, kw] and then a pointwise one
 * [O, C · M, 1, 1] do: w[o, c] = Σₘ pointwise[o, c · M + m] · depthwise[c · M + m].
 */
export function composeSeparable(depthwise: Value, pointwise: Value, inChannels: number): Value {
  const { graph } = depthwise;
  const check = new Check(graph, 'compose_separable');
  const [between, one, ...kernel] = check.filter('depthwise', depthwise);
  const [outputs] = check.filter('pointwise', pointwise);
  for (const [name, value] of Object.entries({ depthwise, pointwise })) check.full(name, value);
  check.hasShape('pointwise', pointwise, [outputs, between, 1, 1], 'one number per output and channel in between');
  const inputs = check.integer('inChannels', inChannels, 1);
  if (one !== 1 || between % inputs !== 0) {
    throw check.shape(`depthwise must be [multiple of ${inputs}, 1, kh, kw], got ${shapeText(depthwise.shape)}`);
  }
  const type = { ...typeOf(depthwise), shape: [outputs, inputs, ...kernel] };
  return graph.emit('compose_separable', [depthwise, pointwise], [type])[0] as Value;
}

defineOp('compose_separable', {
  gradient: ({ inputs }, dw) => dw.graph.emit('compose_separable_grad', [dw, ...inputs], inputs.map(typeOf)),
});
