// Reading pictures alone, the training step alone, and both together, in turns, and in turn with PyTorch's DataLoader.
import { cpus, loadavg, totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { type Batch, openStream, Sampler, type StreamedSet } from '../data/index.ts';
import { table } from '../graph/index.ts';
import { createModel } from '../models/index.ts';
import { sgd } from '../optim/index.ts';
import { compile, type Device, type Program, variablesOf } from '../program.ts';
import { feed } from '../train/feed.ts';
import { trainingGraph } from '../train/step.ts';
import { UsageError } from './args.ts';
import type { Output } from './command.ts';
import { commitOf } from './commit.ts';
import { type DeviceChoice, withDevice } from './common.ts';
import { Contestant, defaultPython } from './contestant.ts';
import { root, writeRecord } from './record.ts';
import { type Spread, spread } from './statistics.ts';
import type { TrainingProgramOptions } from './training-program.ts';

export interface DataBenchOptions extends Omit<TrainingProgramOptions, 'numClasses'>, DeviceChoice {
  readonly data: string;
  /** Batches of a turn. */
  readonly steps: number;
  readonly rounds: number;
  readonly workers?: number | undefined;
  readonly peer?: string | undefined;
  readonly python?: string | undefined;
  readonly record?: string | undefined;
}

interface Figures {
  readonly imagesPerSecond: Spread;
  /** Processor milliseconds per picture, of all threads and child processes. */
  readonly cpuMs: Spread;
}

/** Seconds and processor seconds of a turn. */
type Turn = readonly [seconds: number, processorSeconds: number];
type Turns = Readonly<Record<string, () => Promise<Turn>>>;

const decoders = ['pillow', 'torchvision'];

export async function benchData(options: DataBenchOptions, output: Output) {
  const { data, imageSize: size, workers = cpus().length, rounds, batchSize, steps } = options;
  const set = (await openStream(data, { size, workers }))?.train;
  if (set === undefined) throw new UsageError(`--data ${data}: give a folder with train/<class>/ and test/, or shards`);
  const load = loadavg()[0] as number;
  const peers = options.peer === undefined ? [] : await startPeers(options, workers, output);
  try {
    const { times, threads } = await withDevice(options, async (device) => {
      const own = await ownTurns(device, set, options);
      const others = peers.map((peer) => [peer.name, async () => (await peer.ask(steps)) as unknown as Turn] as const);
      return {
        times: await takeTurns({ ...own, ...Object.fromEntries(others) }, rounds, output),
        threads: device.threads,
      };
    });
    const figures = new Map([...times].map(([name, turns]) => [name, figuresOf(turns, steps * batchSize)]));
    const result = { ...summarise(options, figures, times), workers, threads, versions: versionsOf(peers), load };
    return options.peer === undefined ? result : { ...result, file: await write(result, options) };
  } finally {
    for (const peer of peers) await peer.stop();
  }
}

async function startPeers(options: DataBenchOptions, workers: number, output: Output): Promise<Contestant[]> {
  const { data, imageSize, batchSize, python = defaultPython() } = options;
  const script = join(root, 'bench', 'peers', 'pytorch_loader.py');
  const flags = ['--data', join(data, 'train'), '--size', imageSize, '--batch-size', batchSize, '--workers', workers];
  output.line("starting PyTorch's DataLoader with Pillow and with torchvision's decoder");
  const peers: Contestant[] = [];
  for (const decoder of decoders) {
    const args = [script, ...flags, '--decoder', decoder].map(String);
    peers.push(await Contestant.start(`pytorch ${decoder}`, python, args));
  }
  return peers;
}

async function ownTurns(device: Device, set: StreamedSet, options: DataBenchOptions): Promise<Turns> {
  const { batchSize, steps } = options;
  const program = await trainingStep(device, set, options);
  const sampler = new Sampler({ count: set.count, seed: 0 });
  let epoch = 0;
  const read = () => {
    epoch += 1;
    const order = sampler.order(epoch);
    const rows = Int32Array.from({ length: steps * batchSize }, (_, i) => order[i % order.length] as number);
    return set.batches({ batchSize, order: rows, epoch });
  };
  const [first] = await collect(read(), 1);
  const same = async function* () {
    for (let i = 0; i < steps; i += 1) yield first as Batch;
  };
  await train(program, same());
  return {
    read: () => timed(async () => void (await collect(read(), 0))),
    step: () => timed(() => train(program, same())),
    both: () => timed(() => train(program, read())),
  };
}

async function trainingStep(device: Device, set: StreamedSet, options: DataBenchOptions): Promise<Program> {
  const { model, batchSize, ampDtype, inChannels } = options;
  const graph = trainingGraph({
    model: createModel(model, { numClasses: Math.max(2, set.classes.length), inChannels }),
    set,
    batchSize,
    ampDtype,
    normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    optimizer: sgd({ momentum: 0.9, nesterov: true, weightDecay: 5e-4 }),
    augment: { padding: 0, flip: false },
    smoothing: 0,
    seed: 0,
  });
  return compile(graph, { device, state: await device.createState(variablesOf(graph)) });
}

/** Reads them all, and keeps the first `keep`. */
async function collect(batches: AsyncIterable<Batch>, keep: number): Promise<Batch[]> {
  const kept: Batch[] = [];
  for await (const batch of batches) if (kept.length < keep) kept.push(batch);
  return kept;
}

/** As StepRunner does it. */
async function train(program: Program, batches: AsyncIterable<Batch>): Promise<void> {
  const rate = Float32Array.of(0.01);
  const inputs = async function* () {
    for await (const batch of batches) yield { ...batch, learning_rate: rate };
  };
  await feed(program, inputs());
}

async function timed(work: () => Promise<void>): Promise<Turn> {
  const [begin, used] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(used);
  return [(performance.now() - begin) / 1000, (user + system) / 1e6];
}

async function takeTurns(turns: Turns, rounds: number, output: Output): Promise<Map<string, Turn[]>> {
  const times = new Map(Object.keys(turns).map((name) => [name, [] as Turn[]]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, turn] of Object.entries(turns)) times.get(name)?.push(await turn());
    const last = [...times].map(([name, list]) => `${name} ${(list.at(-1) as Turn)[0].toFixed(2)} s`);
    output.line(`round ${round}/${rounds}: ${last.join(', ')}`);
  }
  return times;
}

function figuresOf(turns: readonly Turn[], images: number): Figures {
  return {
    imagesPerSecond: spread(turns.map(([seconds]) => images / seconds)),
    cpuMs: spread(turns.map(([, used]) => (1000 * used) / images)),
  };
}

function summarise(
  options: DataBenchOptions,
  figures: ReadonlyMap<string, Figures>,
  times: ReadonlyMap<string, Turn[]>,
) {
  const { model, batchSize, imageSize, ampDtype, steps, rounds, data } = options;
  const of = (name: string) => times.get(name) as Turn[];
  const peers = [...times.keys()].filter((name) => name.startsWith('pytorch'));
  return {
    ...{ data: basename(data), model, batchSize, imageSize, dtype: ampDtype, steps, rounds },
    figures: Object.fromEntries(figures),
    /** Both together, as a share of the slower one alone. */
    share: spread(of('both').map(([both], i) => Math.max(of('read')[i]?.[0] ?? 0, of('step')[i]?.[0] ?? 0) / both)),
    /** Processor time per picture of each peer over that of reading alone, round by round. */
    ratio: Object.fromEntries(
      peers.map((peer) => [peer, spread(of(peer).map(([, used], i) => used / (of('read')[i] as Turn)[1]))]),
    ),
  };
}

type DataBench = ReturnType<typeof summarise>;

function versionsOf(peers: readonly Contestant[]): Record<string, string> {
  return { node: process.version, ...(peers[0] && { pytorch: peers[0].version }) };
}

async function write(result: DataBench, { record }: DataBenchOptions): Promise<string> {
  const date = new Date().toISOString();
  const machine = { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, memoryBytes: totalmem() };
  const name = `data-${result.model}-b${result.batchSize}-${result.imageSize}px-${date.slice(0, 10)}.json`;
  return writeRecord(name, { date, machine, commit: commitOf(root), ...result }, record);
}

export function describeData(result: Awaited<ReturnType<typeof benchData>>): string {
  const { figures, share, ratio, model, batchSize, imageSize, workers, threads } = result;
  const rows = Object.entries(figures).map(([name, { imagesPerSecond, cpuMs }]) => [
    name,
    Number(imagesPerSecond.median.toFixed(1)),
    Number(cpuMs.median.toFixed(2)),
    cpuMs.n,
    name in ratio ? Number(ratio[name]?.median.toFixed(2)) : '',
  ]);
  return [
    table(['', 'images/s', 'CPU ms/image', 'n', 'against read'], rows),
    '',
    `${model}, batch ${batchSize}, ${imageSize}x${imageSize}, ${workers} workers, ${threads} threads: both together reach ` +
      `${(100 * share.median).toFixed(0)} % of the slower one`,
    ...('file' in result ? [`record: ${result.file}`] : []),
  ].join('\n');
}
