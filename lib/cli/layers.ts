// A profile, summed up per layer: forward, backward, and how near each comes to what the machine can do.
import { table } from '../graph/index.ts';
import type { ProfileRow } from '../plan.ts';
import type { Ceilings } from './ceilings.ts';
import { spread } from './statistics.ts';

export interface Pass {
  readonly ms: number;
  readonly gflops: number;
  readonly gbPerSecond: number;
  readonly implementations: readonly string[];
  /**
   * The higher of the shares of the two ceilings; what bounds the pass is named. Above 1 where data stays in the caches
   * or an algorithm does with fewer multiplications (Winograd).
   */
  readonly ofCeiling: number;
  readonly bound: 'arithmetic' | 'memory';
}

export interface Layer {
  /** Layer path; work outside layers goes by its op. */
  readonly name: string;
  readonly forward?: Pass;
  readonly backward?: Pass;
  /** Optimizer and metrics. */
  readonly update?: Pass;
}

const passes = ['forward', 'backward', 'update'] as const;

/** `profiles`: several runs of the same program; every node's time is its median. */
export function layersOf(profiles: readonly (readonly ProfileRow[])[], ceilings: Ceilings): Layer[] {
  const rows = medianRows(profiles);
  const loss = rows.findIndex(({ op }) => op === 'softmax_cross_entropy');
  const groups = new Map<string, Record<(typeof passes)[number], ProfileRow[]>>();
  rows.forEach((row, i) => {
    const name = row.path || row.op;
    const group = groups.get(name) ?? { forward: [], backward: [], update: [] };
    groups.set(name, group);
    group[i <= loss ? 'forward' : passAfterLoss(row)].push(row);
  });
  return [...groups].map(([name, group]) => ({
    name,
    ...Object.fromEntries(
      passes.flatMap((pass) => (group[pass].length > 0 ? [[pass, passOf(group[pass], ceilings)]] : [])),
    ),
  }));
}

function passAfterLoss({ path, op }: ProfileRow): 'backward' | 'update' {
  return path !== '' || op === 'fill' || op.endsWith('_grad') ? 'backward' : 'update';
}

function medianRows(profiles: readonly (readonly ProfileRow[])[]): ProfileRow[] {
  const [first = []] = profiles;
  return first.map((row, i) => ({
    ...row,
    seconds: spread(profiles.map((rows) => (rows[i] as ProfileRow).seconds)).median,
  }));
}

function passOf(rows: readonly ProfileRow[], ceilings: Ceilings): Pass {
  const sum = (of: (row: ProfileRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const seconds = sum((row) => row.seconds);
  const gflops = (2 * sum((row) => row.multiplyAdds)) / seconds / 1e9;
  const gbPerSecond = sum((row) => row.trafficBytes) / seconds / 1e9;
  const [arithmetic, memory] = [gflops / ceilings.gflops, gbPerSecond / ceilings.gbPerSecond];
  return {
    ms: 1000 * seconds,
    gflops,
    gbPerSecond,
    implementations: [...new Set(rows.map((row) => row.implementation))],
    ofCeiling: Math.max(arithmetic, memory),
    bound: arithmetic >= memory ? 'arithmetic' : 'memory',
  };
}

export function layerTable(layers: readonly Layer[]): string {
  const rows = layers.flatMap((layer) =>
    passes.flatMap((pass) => (layer[pass] ? [passRow(layer.name, pass, layer[pass])] : [])),
  );
  return table(['layer', 'pass', 'ms', 'GFLOP/s', 'GB/s', '% of ceiling', 'bound by', 'kernels'], rows);
}

function passRow(name: string, direction: string, pass: Pass): (string | number)[] {
  const { ms, gflops, gbPerSecond, ofCeiling, bound, implementations } = pass;
  const numbers = [rounded(ms, 3), rounded(gflops, 1), rounded(gbPerSecond, 1), Math.round(100 * ofCeiling)];
  return [name, direction, ...numbers, bound, implementations.join(' ')];
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
