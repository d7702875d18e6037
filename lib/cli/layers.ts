// A profile, summed up per layer and per op: each pass, and how near it comes to what the machine can do.
import { bytesText, table } from '../graph/index.ts';
import type { ProfileRow } from '../plan.ts';
import { percent } from '../train/format.ts';
import type { Ceilings } from './ceilings.ts';
import { type Spread, spread } from './statistics.ts';

export interface Pass {
  readonly microseconds: Spread;
  readonly gflops: number;
  readonly gbPerSecond: number;
  readonly implementations: readonly string[];
  /** The most that one of its kernels asks for. */
  readonly workspaceBytes: number;
  /**
   * The higher of the shares of the two ceilings; what bounds the pass is named. Above 1 where data stays in the caches
   * or an algorithm does with fewer multiplications (Winograd).
   */
  readonly ofCeiling: number;
  readonly bound: 'arithmetic' | 'memory';
}

/** Gradients of a layer's input and of its filter where they are kernels of their own; else backward. Update: optimizer, metrics. */
export const passNames = ['forward', 'dgrad', 'wgrad', 'backward', 'update'] as const;
type PassName = (typeof passNames)[number];

/** Layer path (work outside layers goes by its op), and its passes. */
export type Layer = { readonly name: string } & { readonly [pass in PassName]?: Pass };

export interface OpShare {
  readonly op: string;
  readonly microseconds: number;
  /** Of the time of all kernels. */
  readonly share: number;
}

/** Several runs of the same program, node by node. */
export type Profiles = readonly (readonly ProfileRow[])[];

export function layersOf(profiles: Profiles, ceilings: Ceilings): Layer[] {
  const rows = profiles[0] as readonly ProfileRow[];
  const loss = rows.findIndex(({ op }) => op === 'softmax_cross_entropy');
  const layers = new Map<string, Map<PassName, number[]>>();
  rows.forEach((row, i) => {
    const name = row.path || row.op;
    const layer = layers.get(name) ?? new Map<PassName, number[]>();
    const pass = i <= loss ? 'forward' : passAfterLoss(row);
    layers.set(name, layer.set(pass, [...(layer.get(pass) ?? []), i]));
  });
  return [...layers].map(([name, layer]) => {
    const passes = passNames.filter((pass) => layer.has(pass));
    const entries = passes.map((pass) => [pass, passOf(profiles, layer.get(pass) as number[], ceilings)]);
    return { name, ...Object.fromEntries(entries) };
  });
}

/** The most expensive first. */
export function opShares(profiles: Profiles): OpShare[] {
  const rows = profiles[0] as readonly ProfileRow[];
  const ops = [...new Set(rows.map(({ op }) => op))].map((op) => {
    const nodes = rows.flatMap((row, i) => (row.op === op ? [i] : []));
    return { op, microseconds: microsecondsOf(profiles, nodes).median };
  });
  const total = ops.reduce((sum, { microseconds }) => sum + microseconds, 0);
  return ops
    .map(({ op, microseconds }) => ({ op, microseconds, share: microseconds / total }))
    .sort((a, b) => b.microseconds - a.microseconds);
}

function passAfterLoss({ path, op }: ProfileRow): PassName {
  if (op.endsWith('_dgrad')) return 'dgrad';
  if (op.endsWith('_wgrad')) return 'wgrad';
  return path !== '' || op === 'fill' || op.endsWith('_grad') ? 'backward' : 'update';
}

/** Of these nodes together, over the profiles. */
function microsecondsOf(profiles: Profiles, nodes: readonly number[]): Spread {
  return spread(profiles.map((rows) => 1e6 * nodes.reduce((total, i) => total + (rows[i] as ProfileRow).seconds, 0)));
}

function passOf(profiles: Profiles, nodes: readonly number[], ceilings: Ceilings): Pass {
  const rows = nodes.map((i) => (profiles[0] as readonly ProfileRow[])[i] as ProfileRow);
  const sum = (of: (row: ProfileRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const microseconds = microsecondsOf(profiles, nodes);
  const perSecond = 1e6 / microseconds.median;
  const gflops = (2 * sum((row) => row.multiplyAdds) * perSecond) / 1e9;
  const gbPerSecond = (sum((row) => row.trafficBytes) * perSecond) / 1e9;
  const [arithmetic, memory] = [gflops / ceilings.gflops, gbPerSecond / ceilings.gbPerSecond];
  return {
    microseconds,
    gflops,
    gbPerSecond,
    implementations: [...new Set(rows.map((row) => row.implementation))],
    workspaceBytes: Math.max(...rows.map((row) => row.workspaceBytes)),
    ofCeiling: Math.max(arithmetic, memory),
    bound: arithmetic >= memory ? 'arithmetic' : 'memory',
  };
}

export function layerTable(layers: readonly Layer[]): string {
  const rows = layers.flatMap((layer) =>
    passNames.flatMap((pass) => (layer[pass] ? [passRow(layer.name, pass, layer[pass])] : [])),
  );
  const header = ['layer', 'pass', 'us', 'p10', 'p90', 'TFLOP/s', 'GB/s', '% of ceiling', 'bound by', 'workspace'];
  return table([...header, 'kernels'], rows);
}

function passRow(name: string, direction: string, pass: Pass): (string | number)[] {
  const { microseconds, gflops, gbPerSecond, ofCeiling, bound, workspaceBytes, implementations } = pass;
  const times = [microseconds.median, microseconds.p10, microseconds.p90].map((time) => rounded(time, 1));
  const rates = [rounded(gflops / 1000, 3), rounded(gbPerSecond, 1), Math.round(100 * ofCeiling)];
  return [name, direction, ...times, ...rates, bound, bytesText(workspaceBytes), implementations.join(' ')];
}

export function opTable(ops: readonly OpShare[]): string {
  const rows = ops.map(({ op, microseconds, share }) => [op, rounded(microseconds, 1), percent(share)]);
  return table(['op', 'us', 'share'], rows);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
