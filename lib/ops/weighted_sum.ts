import { ArgumentError, defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** Σ weights[i] · values[i] of numbers [1], e.g. of a loss and those of auxiliary heads. */
export function weightedSum(values: readonly Value[], weights: readonly number[]): Value {
  const [first] = values;
  if (!first) throw new ArgumentError('weighted_sum: values must not be empty');
  const check = new Check(first.graph, 'weighted_sum');
  for (const [i, value] of values.entries()) {
    check.full(`value ${i}`, value);
    check.hasShape(`value ${i}`, value, [1], 'one number');
  }
  check.numbers('weights', weights, values.length, 'a finite number', () => true);
  return emit(values, weights);
}

function emit(values: readonly Value[], weights: readonly number[]): Value {
  const [first] = values as [Value];
  return first.graph.emit('weighted_sum', values, [typeOf(first)], { weights })[0] as Value;
}

defineOp('weighted_sum', {
  gradient: ({ inputs, attributes }, dy, needs) => {
    const weights = attributes.weights as readonly number[];
    return inputs.map((_, i) => (needs[i] ? emit([dy], [weights[i] as number]) : undefined));
  },
});
