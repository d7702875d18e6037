// What the ops that update parameters share: a learning rate, a scale, and one gradient and state for each parameter.
import { sameType, typeText, type Value } from '../graph/index.ts';
import type { Check } from './check.ts';

export interface UpdateOptions {
  readonly learningRate: Value;
  /** Factor on every gradient, e.g. of clipGradNorm(). */
  readonly scale?: Value | undefined;
  /** Added to the gradient as weightDecay · w, unless the op says otherwise. */
  readonly weightDecay: number;
}

/** The checks that all of them make; the learning rate and the scale are one number each. */
export function checkUpdate(
  check: Check,
  parameters: readonly Value[],
  gradients: readonly Value[],
  { learningRate, scale, weightDecay }: UpdateOptions,
): void {
  for (const [name, value] of Object.entries({ learningRate, scale })) {
    if (!value) continue;
    check.full(name, value);
    check.hasShape(name, value, [1], 'one number');
  }
  check.number('weightDecay', weightDecay, 'a number of at least 0', (value) => value >= 0);
  checkEach(check, 'gradient', parameters, gradients);
}

/** One value of the parameter's own type for each parameter. */
export function checkEach(check: Check, name: string, parameters: readonly Value[], values: readonly Value[]): void {
  if (parameters.length === 0) throw check.argument('parameters must not be empty');
  if (values.length !== parameters.length) {
    throw check.argument(`got ${parameters.length} parameters but ${values.length} of their ${name}s`);
  }
  parameters.forEach((parameter, i) => {
    const value = values[i] as Value;
    check.variable('parameter', parameter);
    if (sameType(parameter, value)) return;
    throw check.shape(`${name} of '${parameter.name}' must be ${typeText(parameter)}, got ${typeText(value)}`);
  });
}

export function checkCounter(check: Check, step: Value): void {
  check.dtype('step', step, 'int32');
  check.hasShape('step', step, [1], 'a counter');
}
