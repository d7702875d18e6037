import { type Attributes, defineOp, elements, type Node, shapeText, typeOf, type Value } from '../graph/index.ts';
import { biasGrad } from './bias.ts';
import { Check } from './check.ts';
import { outputSize, type WindowOptions, windowOf, windowOptions } from './window.ts';

export interface Conv2dOptions extends WindowOptions {
  /** Input and output channels are split into this many groups that do not see each other. Default 1. */
  readonly groups?: number;
  /** One number per output channel. */
  readonly bias?: Value | undefined;
}

/** Cross-correlation of x [N, C, H, W] with w [O, C / groups, kh, kw], as torch.nn.functional.conv2d. */
export function conv2d(x: Value, w: Value, options: Conv2dOptions = {}): Value {
  const { graph } = x;
  const check = new Check(graph, 'conv2d');
  check.options(options, ...windowOptions, 'groups', 'bias');
  const [n, , height, width] = check.activation('input', x);
  const [o, , kh, kw] = check.filter('weight', w);
  const window = windowOf(check, [height, width], [kh, kw], options);
  const groups = check.integer('groups', options.groups ?? 1, 1);
  checkChannels(check, x, w, groups);
  checkTypes(check, x, w, options.bias);
  const [h, v] = outputSize(check, [height, width], window);
  const { stride, padding, dilation } = window;
  const inputs = options.bias ? [x, w, options.bias] : [x, w];
  const type = { shape: [n, o, h, v], dtype: x.dtype, format: 'activation' } as const;
  return graph.emit('conv2d', inputs, [type], { stride, padding, dilation, groups })[0] as Value;
}

function checkChannels(check: Check, x: Value, w: Value, groups: number): void {
  const [, c = 0] = x.shape;
  const [o = 0, perGroup = 0] = w.shape;
  const shapes = `(input ${shapeText(x.shape)}, weight ${shapeText(w.shape)})`;
  if (c % groups !== 0) throw check.shape(`groups=${groups} does not divide the input's ${c} channels ${shapes}`);
  if (o % groups !== 0) throw check.shape(`groups=${groups} does not divide the ${o} output channels ${shapes}`);
  if (perGroup * groups !== c) {
    const per = groups === 1 ? '' : ` (${perGroup} in each of ${groups} groups)`;
    throw check.shape(`input has ${c} channels, weight expects ${perGroup * groups}${per} ${shapes}`);
  }
}

function checkTypes(check: Check, x: Value, w: Value, bias: Value | undefined): void {
  check.float('input', x);
  check.dtype('weight', w, x.dtype);
  if (!bias) return;
  check.full('bias', bias);
  check.hasShape('bias', bias, [w.shape[0] as number], 'one number per output channel');
}

function conv2dDgrad(dy: Value, w: Value, x: Value, attributes: Attributes): Value {
  return dy.graph.emit('conv2d_dgrad', [dy, w], [typeOf(x)], attributes)[0] as Value;
}

function conv2dWgrad(x: Value, dy: Value, w: Value, attributes: Attributes): Value {
  return dy.graph.emit('conv2d_wgrad', [x, dy], [{ ...typeOf(w), dtype: dy.graph.dtype }], attributes)[0] as Value;
}

/** The same for all three directions: every output element of conv2d takes one window of the weight. */
export function multiplyAdds(y: Value, w: Value): number {
  return (elements(y.shape) * elements(w.shape)) / (w.shape[0] as number);
}

defineOp('conv2d', {
  gradient({ inputs, attributes }, dy, [needsX, needsW, needsBias]) {
    const [x, w] = inputs as [Value, Value];
    const db = needsBias ? biasGrad(dy) : undefined;
    const dw = needsW ? conv2dWgrad(x, dy, w, attributes) : undefined;
    const dx = needsX ? conv2dDgrad(dy, w, x, attributes) : undefined;
    return [dx, dw, db];
  },
  lowPrecision: { inputs: [0, 1], outputs: [0] },
  multiplyAdds: ({ inputs: [, w], outputs: [y] }: Node) => multiplyAdds(y as Value, w as Value),
});
defineOp('conv2d_dgrad', { multiplyAdds: ({ inputs: [dy, w] }: Node) => multiplyAdds(dy as Value, w as Value) });
defineOp('conv2d_wgrad', {
  multiplyAdds: ({ inputs: [, dy], outputs: [dw] }: Node) => multiplyAdds(dy as Value, dw as Value),
});
