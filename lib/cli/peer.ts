// node-cudnn beside PyTorch: each in a process of its own, in turns, so that the machine's moods fall on all alike.
import { access } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { table } from '../graph/index.ts';
import { TrainingError } from '../train/index.ts';
import type { Output } from './command.ts';
import { commitOf } from './commit.ts';
import { type DeviceChoice, withDevice } from './common.ts';
import { Contestant, defaultPython, type Footprint } from './contestant.ts';
import { layerTable } from './layers.ts';
import { type BenchResult, bench } from './measure.ts';
import { root, writeRecord } from './record.ts';
import { type Spread, spread } from './statistics.ts';
import type { TrainingProgramOptions } from './training-program.ts';

/** Eager and compiled, or eager alone. */
export type Peer = 'pytorch' | 'pytorch-eager';

export interface PeerOptions extends TrainingProgramOptions, DeviceChoice {
  readonly steps: number;
  readonly rounds: number;
  readonly peer: Peer;
  readonly python?: string | undefined;
  readonly record?: string | undefined;
  /** Where PyTorch computes. Default: as `device`. */
  readonly peerDevice?: string | undefined;
  /** Seconds; who of the others is not ready by then is left out. Default: all are waited for. */
  readonly patience?: number | undefined;
  /** Whether ours takes turns without fusions as well. */
  readonly unfused?: boolean | undefined;
}

export interface Comparison {
  readonly date: string;
  readonly machine: { readonly processor: string; readonly cores: number; readonly memoryBytes: number };
  readonly load: { readonly before: number; readonly after: number };
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string;
  readonly command: string;
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly dtype: string;
  /** Ours, in words; its name; and where PyTorch computed. */
  readonly description: string;
  readonly device: string;
  readonly peerDevice: string;
  readonly threads: number;
  readonly rounds: number;
  readonly stepMs: Readonly<Record<string, Spread>>;
  /** Median of each round over our median of that round. */
  readonly ratio: Readonly<Record<string, Spread>>;
  /** The same for whichever PyTorch was the faster in its round. */
  readonly speedup: Spread;
  /** Who could not take part, and why. */
  readonly absent: Readonly<Record<string, string>>;
  readonly memory: Readonly<Record<string, Footprint>>;
  /** What model and steps took of ours, over what they took of the thriftier PyTorch's. */
  readonly memoryRatio: number;
  /** Ours, profiled after the turns; not there in a record that was cut short. */
  readonly ceilings?: BenchResult['ceilings'];
  readonly ops?: BenchResult['ops'];
  readonly layers?: BenchResult['layers'];
  readonly betweenKernels?: BenchResult['betweenKernels'];
}

/** Load above which the machine is not ours alone. */
const busy = 0.5;

/** Times all, writes the record, then profiles ours and writes it again. */
export async function compareWithPyTorch(options: PeerOptions, output: Output): Promise<Comparison & { file: string }> {
  const script = join(root, 'bench', 'peers', 'pytorch_bench.py');
  await access(script).catch((cause) => {
    throw new TrainingError('ERR_OPTION', `--peer pytorch needs ${script}; run it in a clone of the repository`, {
      cause,
    });
  });
  const load = loadavg()[0] as number;
  if (load > busy)
    output.line(`warning: the load of this machine is ${load.toFixed(1)}; figures of a busy machine say little`);
  const { threads, description } = await withDevice(options, async ({ threads, description }) => {
    return { threads, description };
  });
  const contest = await compete(options, script, threads, output);
  const times = { ...summarise(options, contest, threads, load), description };
  await writeRecord(recordName(times), times, options.record);
  const { result } = await withDevice(options, (device) => bench(device, options, 10));
  const { ceilings, ops, layers, betweenKernels } = result;
  const comparison = { ...times, ceilings, ops, layers, betweenKernels };
  return { ...comparison, file: await writeRecord(recordName(comparison), comparison, options.record) };
}

interface Contest {
  readonly pytorch: string;
  readonly absent: Readonly<Record<string, string>>;
  /** One row of times per contestant and round. */
  readonly times: ReadonlyMap<string, readonly number[][]>;
  readonly memory: Readonly<Record<string, Footprint>>;
}

async function compete(options: PeerOptions, script: string, threads: number, output: Output): Promise<Contest> {
  const contestants: Contestant[] = [];
  const absent: Record<string, string> = {};
  const compiles = options.peer === 'pytorch';
  output.line(`starting node-cudnn, PyTorch eager${compiles ? ' and torch.compile; compiling takes a while' : ''}`);
  try {
    for (const { name, command, args } of entrants(options, script, threads)) {
      try {
        const patience = name === 'node-cudnn' ? undefined : options.patience;
        contestants.push(await Contestant.start(name, command, args, patience));
      } catch (error) {
        if (name === 'node-cudnn') throw error;
        absent[name] = (error as Error).message;
        output.line(`${name} is left out: ${absent[name]}`);
      }
    }
    const peer = contestants.find(({ name }) => isPeer(name));
    if (!peer) throw new TrainingError('ERR_OPTION', `--peer pytorch: ${Object.values(absent).join('; ')}`);
    const times = await takeTurns(contestants, options, output);
    const memory: Record<string, Footprint> = {};
    for (const contestant of contestants) memory[contestant.name] = await contestant.memory();
    return { pytorch: peer.version, absent, times, memory };
  } finally {
    for (const contestant of contestants) await contestant.stop();
  }
}

function isPeer(name: string): boolean {
  return name.startsWith('pytorch');
}

interface Entrant {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

function entrants(options: PeerOptions, script: string, threads: number): Entrant[] {
  const { model, batchSize, imageSize, ampDtype, device = 'cpu', peer, peerDevice = device, unfused } = options;
  const common = ['--model', model, '--batch-size', String(batchSize), '--image-size', String(imageSize)];
  const switches = (['tf32', 'deterministic'] as const).filter((name) => options[name]).map((name) => `--${name}`);
  const flags = [...common, '--amp-dtype', ampDtype, '--threads', String(threads), ...switches];
  const program = [...process.execArgv, process.argv[1] as string, 'bench', '--serve', ...flags, '--device', device];
  const engines = options['compiled-engines'];
  if (engines !== undefined) program.push('--compiled-engines', engines);
  const own = { name: 'node-cudnn', command: process.execPath, args: program };
  const variants = peer === 'pytorch' ? ['eager', 'compile'] : ['eager'];
  const peers = variants.map((variant) => ({
    name: `pytorch ${variant}`,
    command: options.python ?? defaultPython(),
    args: [script, ...flags, '--device', peerDevice, '--variant', variant],
  }));
  const other = { ...own, name: 'node-cudnn unfused', args: [...program, '--unfused'] };
  return [own, ...(unfused ? [other] : []), ...peers];
}

/** A B C A B C ... */
async function takeTurns(contestants: readonly Contestant[], { rounds, steps }: PeerOptions, output: Output) {
  const times = new Map(contestants.map(({ name }) => [name, [] as number[][]]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const contestant of contestants) times.get(contestant.name)?.push(await contestant.ask(steps));
    const last = [...times].map(([name, rows]) => `${name} ${spread(rows.at(-1) as number[]).median.toFixed(2)} ms`);
    output.line(`round ${round}/${rounds}: ${last.join(', ')}`);
  }
  return times;
}

function summarise(options: PeerOptions, contest: Contest, threads: number, loadBefore: number) {
  const { pytorch, absent, times, memory } = contest;
  const medians = new Map([...times].map(([name, rows]) => [name, rows.map((row) => spread(row).median)]));
  const own = medians.get('node-cudnn') as number[];
  const others = [...medians].filter(([name]) => name !== 'node-cudnn');
  const ratios = others.map(([name, list]) => [name, list.map((ms, i) => ms / (own[i] as number))] as const);
  const peers = ratios.filter(([name]) => isPeer(name));
  const least = own.map((_, i) => Math.min(...peers.map(([, list]) => list[i] as number)));
  const { model, batchSize, imageSize, ampDtype, rounds, device = 'cpu', peerDevice = device } = options;
  return {
    date: new Date().toISOString(),
    machine: { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, memoryBytes: totalmem() },
    load: { before: loadBefore, after: loadavg()[0] as number },
    versions: { node: process.version, pytorch },
    commit: commitOf(root),
    command: `npm run bench -- ${publicArguments().join(' ')}`,
    ...{ model, batchSize, imageSize, dtype: ampDtype, device, peerDevice, threads, rounds },
    stepMs: Object.fromEntries([...times].map(([name, rows]) => [name, spread(rows.flat())])),
    ratio: Object.fromEntries(ratios.map(([name, list]) => [name, spread(list)])),
    speedup: spread(least),
    ...{ absent, memory, memoryRatio: memoryRatio(memory) },
  };
}

function memoryRatio(memory: Readonly<Record<string, Footprint>>): number {
  const taken = ({ startBytes, peakBytes }: Footprint) => peakBytes - startBytes;
  const peers = Object.entries(memory).filter(([name]) => isPeer(name));
  return taken(memory['node-cudnn'] as Footprint) / Math.min(...peers.map(([, footprint]) => taken(footprint)));
}

/** Paths of this machine do not belong into a record. */
function publicArguments(): string[] {
  const paths = ['--python', '--record'];
  const hidden = (part: string, i: number, all: string[]) => paths.includes(part) || paths.includes(all[i - 1] ?? '');
  return process.argv.slice(3).filter((part, i, all) => !hidden(part, i, all));
}

function recordName({ model, batchSize, imageSize, dtype, date }: Comparison): string {
  return `speed-${model}-b${batchSize}-${imageSize}px-${dtype}-${date.slice(0, 10)}.json`;
}

function describeCeilings({ gflops, gbPerSecond }: BenchResult['ceilings']): string {
  return `ceilings: ${gflops.toFixed(0)} GFLOP/s, ${gbPerSecond.toFixed(1)} GB/s`;
}

export function describeComparison(comparison: Comparison & { file: string }): string {
  const { stepMs, ratio, speedup, load, threads, model, batchSize, dtype, layers, ceilings, memory, file } = comparison;
  const rows = Object.entries(stepMs).map(([name, { median, p10, p90, n }]) => {
    const times = [median, p10, p90].map((ms) => Number(ms.toFixed(2)));
    const { peakBytes, startBytes } = memory[name] as Footprint;
    const mebibytes = Math.round((peakBytes - startBytes) / 2 ** 20);
    return [name, ...times, n, Number((ratio[name]?.median ?? 1).toFixed(2)), mebibytes];
  });
  return [
    ...(layers ? [layerTable(layers)] : []),
    ...(ceilings ? [describeCeilings(ceilings), ''] : []),
    table(['', 'median ms', 'p10', 'p90', 'n', 'ratio', 'MiB'], rows),
    '',
    `${model}, batch ${batchSize}, ${dtype}, ${threads} threads: node-cudnn is ${speedup.median.toFixed(2)} times as fast as ` +
      `the faster PyTorch (p10 ${speedup.p10.toFixed(2)}, p90 ${speedup.p90.toFixed(2)}, ${speedup.n} rounds) and takes ` +
      `${comparison.memoryRatio.toFixed(2)} of the thriftier one's memory`,
    `load of the machine: ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after; record: ${file}`,
  ].join('\n');
}
