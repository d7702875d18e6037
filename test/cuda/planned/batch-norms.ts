// Every batch norm of a training step of four networks, forward and backward, fused with what follows it.
import { fuse, fusions, type Node } from '../../../lib/graph/index.ts';
import { fewer, graphOf, type Line, withoutRepetitions } from './convolutions.ts';

/** Kernels of ours finish the statistics where convolutions give sums, and keep masks; see docs/cuda.md. */
const ofCudnn = new Set(
  fusions()
    .filter((name) => !/^batch_norm_summed|_mask$/.test(name))
    .map((name) => `op:${name}`),
);

function nodesOf(name: string): readonly Node[] {
  return fuse(graphOf(name, 'float16'), ofCudnn).nodes;
}

function lineOf({ op, inputs }: Node): Line {
  return { pass: op, rest: inputs[0]?.shape.join(' ') ?? '' };
}

export function batchNorms(): readonly Line[] {
  const nodes = fewer.flatMap(nodesOf).filter(({ op }) => /^batch_norm(_add)?(_relu)?(_grad)?$/.test(op));
  return withoutRepetitions(nodes.map(lineOf));
}
