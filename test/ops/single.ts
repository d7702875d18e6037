// Cases of one node each, and what the cases of several files share.
import type { Attributes } from '../../lib/graph/index.ts';
import type { OpCase, Operand, Operands } from './operands.ts';

// Relative to the largest output: rounding of float32 (6e-8) times the square root of the terms of a sum, times a
// margin of about ten. BN divides by a variance that was itself summed, and subtracts two means of like size.
export const tolerances = { copy: 0, element: 5e-7, sum: 2e-6, norm: 5e-6 };

export interface Single {
  readonly op: string;
  readonly inputs: Operands;
  readonly outputs: Operands;
  readonly attributes?: Attributes;
  readonly exact?: boolean;
  readonly tolerance?: number;
}

export function single({
  op,
  inputs,
  outputs,
  attributes = {},
  exact = true,
  tolerance = tolerances.sum,
}: Single): OpCase {
  const title = [op, ...Object.values(inputs).slice(0, 2).map(shapeText), attributeText(attributes)].join(' ').trim();
  return { title, inputs, nodes: [{ op, inputs: Object.keys(inputs), outputs, attributes }], exact, tolerance };
}

const shapeText = ({ shape }: Operand) => `[${shape.join(',')}]`;
export const attributeText = (attributes: Attributes) =>
  Object.entries(attributes)
    .filter(([name]) => name !== 'mean' && name !== 'std')
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');

export type Size = readonly [n: number, c: number, h: number, w: number];

/** Sizes of maps: channels in whole blocks and not, one pixel, one channel. */
export const maps: readonly Size[] = [
  [2, 1, 5, 3],
  [1, 3, 7, 5],
  [5, 5, 3, 3],
  [2, 16, 9, 7],
  [3, 17, 5, 5],
  [2, 20, 3, 7],
  [2, 32, 8, 8],
  [5, 48, 3, 5],
  [4, 64, 1, 1],
];
