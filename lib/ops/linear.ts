import { defineOp, elements, type Node, shapeText, typeOf, type Value } from '../graph/index.ts';
import { biasGrad } from './bias.ts';
import { Check } from './check.ts';

export interface LinearOptions {
  /** One number per output feature. */
  readonly bias?: Value | undefined;
}

/** y = x wᵀ + bias, for x [N, I] and w [O, I], as torch.nn.functional.linear. */
export function linear(x: Value, w: Value, options: LinearOptions = {}): Value {
  const { bias } = options;
  const { graph } = x;
  const check = new Check(graph, 'linear');
  check.options(options, 'bias');
  const [n, features] = check.matrix('input', x, '[N, I]');
  const [outputs, expected] = check.matrix('weight', w, '[O, I]');
  if (features !== expected) {
    const shapes = `(input ${shapeText(x.shape)}, weight ${shapeText(w.shape)})`;
    throw check.shape(`input has ${features} features, weight expects ${expected} ${shapes}`);
  }
  check.float('input', x);
  check.dtype('weight', w, x.dtype);
  if (bias) {
    check.full('bias', bias);
    check.hasShape('bias', bias, [outputs], 'one number per output feature');
  }
  const type = { shape: [n, outputs], dtype: x.dtype, format: 'plain' } as const;
  return graph.emit('linear', bias ? [x, w, bias] : [x, w], [type])[0] as Value;
}

function linearDgrad(dy: Value, w: Value, x: Value): Value {
  return dy.graph.emit('linear_dgrad', [dy, w], [typeOf(x)])[0] as Value;
}

function linearWgrad(x: Value, dy: Value, w: Value): Value {
  return dy.graph.emit('linear_wgrad', [x, dy], [{ ...typeOf(w), dtype: dy.graph.dtype }])[0] as Value;
}

/** N · I · O in every direction. */
function multiplyAdds(rows: Value | undefined, w: Value | undefined): number {
  return ((rows as Value).shape[0] as number) * elements((w as Value).shape);
}

defineOp('linear', {
  gradient({ inputs }, dy, [needsX, needsW, needsBias]) {
    const [x, w] = inputs as [Value, Value];
    const db = needsBias ? biasGrad(dy) : undefined;
    const dw = needsW ? linearWgrad(x, dy, w) : undefined;
    const dx = needsX ? linearDgrad(dy, w, x) : undefined;
    return [dx, dw, db];
  },
  lowPrecision: { inputs: [0, 1], outputs: [0] },
  multiplyAdds: ({ inputs: [x, w] }: Node) => multiplyAdds(x, w),
});
defineOp('linear_dgrad', { multiplyAdds: ({ inputs: [dy, w] }: Node) => multiplyAdds(dy, w) });
defineOp('linear_wgrad', { multiplyAdds: ({ inputs: [x], outputs: [dw] }: Node) => multiplyAdds(x, dw) });
