import { ArgumentError } from '../graph/index.ts';

/** A size given to a layer's constructor: a positive integer. */
export function size(layer: string, name: string, value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 1) return value as number;
  const got = typeof value === 'string' ? JSON.stringify(value) : String(value);
  throw new ArgumentError(`${layer}: ${name} must be a positive integer, got ${got}`);
}
