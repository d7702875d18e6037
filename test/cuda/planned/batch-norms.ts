// Every batch norm of a training step of four networks, forward and backward, fused with what follows it.
import { fuse, fusions, type Node } from '../../../lib/graph/index.ts';
import { fewer, graphOf, type Line, withoutRepetitions } from './convolutions.ts';

/** Where convolutions give sums, these finish the statistics by a kernel of ours; see docs/ops.md. */
const withoutSums = new Set(
  fusions()
    .filter((name) => !name.startsWith('batch_norm_summed'))
    .map((name) => `op:${name}`),
);

function nodesOf(name: string): readonly Node[] {
  return fuse(graphOf(name, 'float16'), withoutSums).nodes;
}

function lineOf({ op, inputs }: Node): Line {
  return { pass: op, rest: inputs[0]?.shape.join(' ') ?? '' };
}

export function batchNorms(): readonly Line[] {
  const nodes = fewer.flatMap(nodesOf).filter(({ op }) => /^batch_norm(_add)?(_relu)?(_grad)?$/.test(op));
  return withoutRepetitions(nodes.map(lineOf));
}
