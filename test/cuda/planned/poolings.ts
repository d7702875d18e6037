// Every maximum and average over windows of a training step of four networks, forward and backward.
import type { Node } from '../../../lib/graph/index.ts';
import { fewer, graphOf, type Line, withoutRepetitions } from './convolutions.ts';

function lineOf({ op, inputs, outputs, attributes }: Node): Line {
  const [first, result] = [inputs[0]?.shape ?? [], outputs[0]?.shape ?? []];
  const [x, y] = op.endsWith('_grad') ? [result, first] : [first, result];
  const { kernel, stride, padding } = attributes as Record<string, readonly number[]>;
  const after = afterLastWindow(x, y, { kernel, stride, padding } as Windows);
  const counted = attributes.count_include_pad ? 1 : 0;
  return { pass: op, rest: [x, y, kernel, stride, padding?.slice(0, 2), after, counted].flat().join(' ') };
}

interface Windows {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
}

/** The padding below and on the right, or more where the last window reaches beyond it (pool.cu). */
function afterLastWindow(x: readonly number[], y: readonly number[], { kernel, stride, padding }: Windows): number[] {
  return [0, 1].map((axis) => {
    const at = (list: readonly number[], i: number) => list[i] as number;
    const reach = (at(y, 2 + axis) - 1) * at(stride, axis) + at(kernel, axis) - at(x, 2 + axis) - at(padding, axis);
    return Math.max(at(padding, 2 + axis), reach);
  });
}

export function poolings(): readonly Line[] {
  const nodes = fewer.flatMap((name) => graphOf(name, 'float16').nodes);
  return withoutRepetitions(nodes.filter(({ op }) => /^(max|avg)_pool2d/.test(op)).map(lineOf));
}
