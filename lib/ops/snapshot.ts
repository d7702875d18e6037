// Undoing what a step wrote: variables are copied before, and written back where the step must not count.
import { sameType, typeOf, typeText, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** Copies of variables as they are at this place of the step, in one node. */
export function snapshot(variables: readonly Value[]): Value[] {
  const [first] = variables as [Value];
  const check = new Check(first.graph, 'snapshot');
  for (const variable of variables) check.variable('variable', variable);
  return first.graph.emit('snapshot', variables, variables.map(typeOf));
}

/** Writes the copies back where `keep` (int32 [1]) is 0; else the variables stay as they are. */
export function restore(variables: readonly Value[], copies: readonly Value[], keep: Value): void {
  const { graph } = keep;
  const check = new Check(graph, 'restore');
  check.dtype('keep', keep, 'int32');
  check.hasShape('keep', keep, [1], 'a flag');
  if (variables.length === 0 || variables.length !== copies.length) {
    throw check.argument(`got ${variables.length} variables and ${copies.length} copies, must be one of each at least`);
  }
  variables.forEach((variable, i) => {
    const copy = copies[i] as Value;
    check.variable('variable', variable);
    if (sameType(variable, copy)) return;
    throw check.shape(`the copy of '${variable.name}' must be ${typeText(variable)}, got ${typeText(copy)}`);
  });
  graph.emit('restore', [keep, ...copies], variables);
}
