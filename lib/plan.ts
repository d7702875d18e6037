// A compiled program as a table for people.
import { bytesText, type Graph, multiplyAdds, type Node, shapeText, table } from './graph/index.ts';
import type { NativePlan } from './native.ts';

/** One node of a compiled program, in execution order. */
export interface PlanRow {
  readonly op: string;
  readonly path: string;
  /** Dtype and shape of what it reads and writes, for people. */
  readonly shapes: string;
  readonly dtype: string;
  readonly implementation: string;
  /** Physical bytes of its first output. */
  readonly bytes: number;
  /** Offset of its first output in the program's arena; undefined where it does not live there. */
  readonly offset: number | undefined;
  readonly workspaceBytes: number;
  /** Physical bytes of all that it reads and writes, each value once; without what a concat finds in place. */
  readonly trafficBytes: number;
  /** Counted as direct computation. */
  readonly multiplyAdds: number;
}

export interface Plan {
  readonly rows: readonly PlanRow[];
  /** Of all temporaries, and of what kernels need for themselves while they run. */
  readonly arenaBytes: number;
  /** The most bytes that are alive at one time: no plan can be smaller. */
  readonly lowerBoundBytes: number;
}

export interface ProfileRow extends PlanRow {
  readonly seconds: number;
}

export function planOf(graph: Graph, plan: NativePlan): Plan {
  const { arenaBytes, lowerBoundBytes } = plan;
  const rows = plan.nodes.map(({ node: index, implementation, workspaceBytes: workspace }): PlanRow => {
    const node = graph.nodes[index] as Node;
    const { op, path } = node;
    const [output] = node.outputs;
    const offset = plan.offsets[output?.id ?? -1] ?? -1;
    return {
      op,
      path,
      shapes: shapesOf(node),
      dtype: output?.dtype ?? '',
      implementation,
      bytes: plan.bytes[output?.id ?? -1] ?? 0,
      offset: offset < 0 ? undefined : offset,
      workspaceBytes: workspace,
      trafficBytes: traffic(node, plan),
      multiplyAdds: multiplyAdds(node),
    };
  });
  return { rows, arenaBytes, lowerBoundBytes };
}

function traffic({ inputs, outputs }: Node, { bytes, wholes }: NativePlan): number {
  const ids = new Set([...inputs, ...outputs].map(({ id }) => id));
  const moved = (id: number) => (ids.has(wholes[id] ?? -1) ? -1 : 1) * (bytes[id] ?? 0);
  return [...ids].reduce((sum, id) => sum + moved(id), 0);
}

export function planText({ rows, arenaBytes, lowerBoundBytes }: Plan): string {
  const header = ['op', 'layer', 'shapes', 'dtype', 'kernel', 'bytes', 'offset'];
  const cells = rows.map((row) => {
    return [row.op, row.path, row.shapes, row.dtype, row.implementation, row.bytes, row.offset ?? ''];
  });
  const arena = `${bytesText(arenaBytes)} arena (lower bound ${bytesText(lowerBoundBytes)})`;
  const total = `${rows.length} nodes, ${arena}`;
  return [table(header, cells), ...rows.filter(isSlow).map(warning), total].join('\n');
}

/** oneDNN's own name for a kernel that it did not optimise. */
function isSlow({ implementation }: PlanRow): boolean {
  return /\bref\b/.test(implementation);
}

function warning({ op, path, implementation, shapes }: PlanRow): string {
  return `!!! SLOW: ${op} ${path} ${shapes} runs on '${implementation}', 10 to 20 times slower than it should`;
}

function shapesOf({ inputs, outputs }: Node): string {
  const list = (values: Node['inputs']) => values.slice(0, 2).map(({ shape }) => shapeText(shape));
  const more = inputs.length > 2 ? ' ..' : '';
  return `${list(inputs).join(' ')}${more} -> ${list(outputs)[0] ?? ''}`.trimStart();
}
