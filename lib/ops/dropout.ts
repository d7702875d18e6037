import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

export interface DropoutOptions {
  /** Share of the elements that become zero, from 0 to below 1. */
  readonly p: number;
  /** The mask is a function of seed, step (both int32 [1]), stream and place: nothing is stored, a resumed run repeats it. */
  readonly random: { readonly seed: Value; readonly step: Value };
  /** Tells the masks of one step apart. Default: how many dropouts the graph has so far. */
  readonly stream?: number;
}

/** x / (1 - p) where the element is kept, 0 where not (Srivastava et al. 2014, as torch.nn.functional.dropout scales it). */
export function dropout(x: Value, options: DropoutOptions): Value {
  const { graph } = x;
  const check = new Check(graph, 'dropout');
  check.options(options, 'p', 'random', 'stream');
  check.float('input', x);
  const p = check.number('p', options.p, 'from 0 to below 1', (value) => value >= 0 && value < 1);
  const { seed, step } = options.random;
  check.counter('seed', seed);
  check.counter('step', step);
  const before = graph.nodes.filter(({ op }) => op === 'dropout').length;
  const stream = check.integer('stream', options.stream ?? before, 0);
  return graph.emit('dropout', [x, seed, step], [typeOf(x)], { p, stream })[0] as Value;
}

defineOp('dropout', {
  // Linear in x: the gradient goes through the same mask.
  gradient: ({ inputs: [, seed, step], attributes }, dy) =>
    dy.graph.emit('dropout', [dy, seed as Value, step as Value], [typeOf(dy)], attributes),
  lowPrecision: { inputs: [0], outputs: [0] },
});
