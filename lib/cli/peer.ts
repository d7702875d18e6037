// node-cudnn beside PyTorch: each in a process of its own, in turns, so that the machine's moods fall on all alike.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { table } from '../graph/index.ts';
import { Device } from '../program.ts';
import { TrainingError } from '../train/index.ts';
import type { Output } from './command.ts';
import { commitOf } from './commit.ts';
import { type Spread, spread } from './statistics.ts';

export interface PeerOptions {
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly ampDtype: string;
  readonly steps: number;
  readonly rounds: number;
  readonly device?: string | undefined;
  readonly threads?: number | undefined;
  readonly python?: string | undefined;
  readonly record?: string | undefined;
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
  readonly threads: number;
  readonly rounds: number;
  readonly stepMs: Readonly<Record<string, Spread>>;
  /** Median time of the faster PyTorch over ours, round by round. */
  readonly speedup: Spread;
  readonly file: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

export async function compareWithPyTorch(options: PeerOptions, output: Output): Promise<Comparison> {
  const script = join(root, 'bench', 'peers', 'pytorch_bench.py');
  await access(script).catch((cause) => {
    throw new TrainingError('ERR_OPTION', `--peer pytorch needs ${script}; run it in a clone of the repository`, {
      cause,
    });
  });
  const device = await Device.open(
    options.device ?? 'cpu',
    options.threads === undefined ? {} : { threads: options.threads },
  );
  const { threads } = device;
  await device.close();
  const before = loadavg()[0] as number;
  const contestants = await startAll(options, script, threads, output);
  try {
    const times = await takeTurns(contestants, options, output);
    const comparison = await summarise(options, contestants, times, threads, before);
    await mkdir(join(comparison.file, '..'), { recursive: true });
    await writeFile(comparison.file, `${JSON.stringify(comparison, null, 2)}\n`);
    return comparison;
  } finally {
    for (const contestant of contestants) contestant.stop();
  }
}

/** A process that runs steps on request; see bench/peers/pytorch_bench.py. */
class Contestant {
  readonly name: string;
  readonly version: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(name: string, version: string, process: ChildProcess, lines: AsyncIterator<string>) {
    this.name = name;
    this.version = version;
    this.#process = process;
    this.#lines = lines;
  }

  static async start(name: string, command: string, args: readonly string[]): Promise<Contestant> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await Promise.race([once(child, 'spawn'), once(child, 'error').then(([error]) => Promise.reject(error))]);
    const lines = (createInterface({ input: child.stdout }) as Interface)[Symbol.asyncIterator]();
    const ready = JSON.parse(await nextLine(name, lines)) as { version?: string };
    return new Contestant(name, ready.version ?? '', child, lines);
  }

  async steps(count: number): Promise<number[]> {
    this.#process.stdin?.write(`${count}\n`);
    return JSON.parse(await nextLine(this.name, this.#lines)) as number[];
  }

  stop(): void {
    this.#process.stdin?.end();
  }
}

async function nextLine(name: string, lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done) throw new TrainingError('ERR_OPTION', `bench: ${name} ended early; what it wrote stands above`);
  return value;
}

async function startAll(options: PeerOptions, script: string, threads: number, output: Output): Promise<Contestant[]> {
  const { model, batchSize, imageSize, ampDtype, device } = options;
  const common = ['--model', model, '--batch-size', String(batchSize), '--image-size', String(imageSize)];
  const flags = [...common, '--amp-dtype', ampDtype, '--threads', String(threads)];
  const python = options.python ?? defaultPython();
  const own = [
    ...process.execArgv,
    process.argv[1] as string,
    'bench',
    '--serve',
    ...flags,
    '--device',
    device ?? 'cpu',
  ];
  output.line('starting node-cudnn, PyTorch eager and torch.compile; compiling takes a while');
  const contestants = [await Contestant.start('node-cudnn', process.execPath, own)];
  for (const variant of ['eager', 'compile']) {
    contestants.push(await Contestant.start(`pytorch ${variant}`, python, [script, ...flags, '--variant', variant]));
  }
  return contestants;
}

function defaultPython(): string {
  const { PYTHON, VIRTUAL_ENV } = process.env;
  return PYTHON ?? (VIRTUAL_ENV === undefined ? 'python3' : join(VIRTUAL_ENV, 'bin', 'python'));
}

/** A B C A B C ...: one row of times per contestant and round. */
async function takeTurns(contestants: readonly Contestant[], { rounds, steps }: PeerOptions, output: Output) {
  const times = new Map(contestants.map(({ name }) => [name, [] as number[][]]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const contestant of contestants) times.get(contestant.name)?.push(await contestant.steps(steps));
    const last = [...times].map(([name, rows]) => `${name} ${spread(rows.at(-1) as number[]).median.toFixed(2)} ms`);
    output.line(`round ${round}/${rounds}: ${last.join(', ')}`);
  }
  return times;
}

async function summarise(
  options: PeerOptions,
  contestants: readonly Contestant[],
  times: ReadonlyMap<string, readonly number[][]>,
  threads: number,
  loadBefore: number,
): Promise<Comparison> {
  const medians = (name: string) => (times.get(name) as number[][]).map((row) => spread(row).median);
  const [own, ...peers] = contestants.map(({ name }) => medians(name)) as [number[], ...number[][]];
  const speedups = own.map((ms, round) => Math.min(...peers.map((peer) => peer[round] as number)) / ms);
  const date = new Date().toISOString();
  const { model, batchSize, imageSize, ampDtype, rounds } = options;
  const name = `speed-${model}-b${batchSize}-${imageSize}px-${ampDtype}-${date.slice(0, 10)}.json`;
  return {
    date,
    machine: { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, memoryBytes: totalmem() },
    load: { before: loadBefore, after: loadavg()[0] as number },
    versions: { node: process.version, pytorch: contestants[1]?.version ?? '' },
    commit: commitOf(root),
    command: `npm run bench -- ${process.argv
      .slice(3)
      .filter((part, i, all) => !hidden(part, all[i - 1]))
      .join(' ')}`,
    model,
    batchSize,
    imageSize,
    dtype: ampDtype,
    threads,
    rounds,
    stepMs: Object.fromEntries([...times].map(([contestant, rows]) => [contestant, spread(rows.flat())])),
    speedup: spread(speedups),
    file: join(options.record ?? join(root, 'bench', 'results'), name),
  };
}

/** Paths of this machine do not belong into a record. */
function hidden(part: string, before: string | undefined): boolean {
  return ['--python', '--record'].includes(part) || ['--python', '--record'].includes(before ?? '');
}

export function describeComparison({
  stepMs,
  speedup,
  load,
  threads,
  model,
  batchSize,
  dtype,
  file,
}: Comparison): string {
  const rows = Object.entries(stepMs).map(([name, { median, p10, p90, n }]) => [
    name,
    Number(median.toFixed(2)),
    Number(p10.toFixed(2)),
    Number(p90.toFixed(2)),
    n,
  ]);
  return [
    table(['', 'median ms', 'p10', 'p90', 'n'], rows),
    '',
    `${model}, batch ${batchSize}, ${dtype}, ${threads} threads: node-cudnn is ${speedup.median.toFixed(2)} times as fast as ` +
      `the faster PyTorch (p10 ${speedup.p10.toFixed(2)}, p90 ${speedup.p90.toFixed(2)}, ${speedup.n} rounds)`,
    `load of the machine: ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after; record: ${file}`,
  ].join('\n');
}
