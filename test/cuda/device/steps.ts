// Training steps on a device, fused and node by node, in turns with PyTorch's, and what the device can do at best:
//   npx tsx test/cuda/device/steps.ts cuda:0 FOLDER [--seconds 300] [--python FILE] [--rehearse]
// The most telling first, as many as the time allows: a few beside eager PyTorch, which starts at once, then all of them
// beside what its compiler makes as well. FOLDER/steps.json and FOLDER/steps.md hold what was measured so far; the exit
// status says whether any failed. --rehearse takes tiny ones, with PyTorch on the CPU.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { BenchResult } from '../../../lib/cli/measure.ts';
import type { Comparison, Peer } from '../../../lib/cli/peer.ts';
import { modelDefaults } from '../../../lib/models/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '300' },
    python: { type: 'string', default: 'python3' },
    rehearse: { type: 'boolean', default: false },
  },
});
const [device = 'cuda:0', folder = '.'] = positionals;
const { python, rehearse } = values;
const cli = fileURLToPath(new URL('../../../lib/cli/main.ts', import.meta.url));

interface Step {
  readonly model: string;
  readonly dtype: 'bfloat16' | 'float16';
  readonly batchSize: number;
  /** Default: what the network is made for. */
  readonly imageSize?: number;
}

const first: readonly Step[] = [
  { model: 'resnet50', dtype: 'float16', batchSize: 256 },
  { model: 'cifar-resnet20', dtype: 'float16', batchSize: 128 },
  { model: 'inception-v2', dtype: 'float16', batchSize: 256 },
  { model: 'resnet50', dtype: 'bfloat16', batchSize: 256 }, // compiles for a minute or two
];
const steps: readonly Step[] = [
  ...first,
  { model: 'cifar-resnet20', dtype: 'bfloat16', batchSize: 1024 },
  { model: 'resnet50', dtype: 'bfloat16', batchSize: 50 },
  { model: 'resnet50', dtype: 'float16', batchSize: 50 },
  { model: 'resnet152-v2', dtype: 'bfloat16', batchSize: 64 },
  { model: 'cifar-resnet20', dtype: 'bfloat16', batchSize: 128 },
  { model: 'cifar-resnet20', dtype: 'float16', batchSize: 1024 },
  { model: 'resnet152-v2', dtype: 'float16', batchSize: 64 },
  { model: 'inception-v2', dtype: 'bfloat16', batchSize: 256 },
];
const rehearsed: readonly Step[] = [
  { model: 'cifar-resnet20', dtype: 'float16', batchSize: 2, imageSize: 8 },
  { model: 'cifar-resnet20', dtype: 'bfloat16', batchSize: 2, imageSize: 8 },
];

/** Seconds that one step may take, what is compiled and timed before it included; for less than `least` it is not begun. */
const most: Readonly<Record<Peer | 'none', number>> = { pytorch: 160, 'pytorch-eager': 160, none: 100 };
const least = 20;
/** Seconds that PyTorch may take to be ready, each time. */
const patience = 110;
const deadline = Date.now() + 1000 * Number(values.seconds);

/** What a record of `bench` holds, as far as it got. */
type Measured = Partial<Pick<Comparison, 'stepMs' | 'speedup' | 'memory' | 'ceilings'>> & { readonly result: string };

type Row = Step & Measured & { readonly seconds: number };

let running: number | undefined;

/** With all that it started. */
function end(): void {
  if (running !== undefined) process.kill(-running, 'SIGKILL');
}
process.once('SIGTERM', () => {
  end();
  process.exit(143);
});

/** What `node-cudnn bench` answered within `seconds`. */
async function bench(args: readonly (string | number)[], seconds: number): Promise<{ answer: string; result: string }> {
  const program = [...process.execArgv, cli, 'bench', ...args.map(String), '--device', device, '--json'];
  const child = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  running = child.pid;
  const timer = setTimeout(end, 1000 * seconds);
  let answer = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  running = undefined;
  if (signal !== null) return { answer, result: 'ran out of time' };
  return { answer, result: status === 0 ? 'measured' : `failed (${status})` };
}

/** The version of PyTorch, or in words why it does not run. */
function askPyTorch(): { version?: string; missing?: string } {
  const modules = 'import torch, torchvision, timm; print(torch.__version__)';
  const { status, stdout, stderr, error } = spawnSync(python, ['-c', modules], { encoding: 'utf8' });
  if (status === 0) return { version: stdout.trim() };
  return { missing: error?.message ?? stderr.trim().split('\n').at(-1) ?? 'no answer' };
}

const turns = rehearse ? ['--steps', 10, '--rounds', 1] : ['--steps', 10, '--rounds', 5];

/** In turns with PyTorch; what the record holds counts, also where it was cut short. */
async function contest(flags: readonly (string | number)[], peer: Peer, seconds: number): Promise<Measured> {
  const record = join(folder, 'contest');
  rmSync(record, { recursive: true, force: true });
  const beside = ['--peer', peer, '--python', python, '--patience', patience];
  const places = ['--record', record, ...(rehearse ? ['--peer-device', 'cpu'] : [])];
  const unfused = peer === 'pytorch' ? ['--unfused'] : [];
  const { result } = await bench([...flags, ...turns, ...unfused, ...beside, ...places], seconds);
  mkdirSync(record, { recursive: true });
  const [file] = readdirSync(record);
  if (file === undefined) return { result };
  return { ...(JSON.parse(readFileSync(join(record, file), 'utf8')) as Comparison), result };
}

/** Where there is no PyTorch. */
async function alone(flags: readonly (string | number)[], seconds: number): Promise<Measured> {
  const until = Date.now() + 1000 * seconds;
  const fused = await bench([...flags, '--steps', 10], seconds);
  if (fused.result !== 'measured') return { result: fused.result };
  const { stepMs, ...rest } = JSON.parse(fused.answer) as BenchResult;
  const { answer, result } = await bench([...flags, '--steps', 10, '--unfused'], (until - Date.now()) / 1000);
  if (result !== 'measured') return { ...rest, stepMs: { 'node-cudnn': stepMs }, result };
  const unfused = JSON.parse(answer) as BenchResult;
  return { ...rest, stepMs: { 'node-cudnn': stepMs, 'node-cudnn unfused': unfused.stepMs }, result };
}

async function measure(step: Step, peer: Peer | 'none'): Promise<Row> {
  const { model, dtype, batchSize, imageSize = modelDefaults(model).imageSize } = step;
  const left = (deadline - Date.now()) / 1000;
  if (left < least) return { ...step, result: 'no time left', seconds: 0 };
  const begin = Date.now();
  const flags = ['--model', model, '--amp-dtype', dtype, '--batch-size', batchSize, '--image-size', imageSize];
  const seconds = Math.min(most[peer], left);
  const measured = await (peer === 'none' ? alone(flags, seconds) : contest(flags, peer, seconds));
  return { ...measured, ...step, imageSize, seconds: (Date.now() - begin) / 1000 };
}

const contestants = ['node-cudnn', 'node-cudnn unfused', 'pytorch eager', 'pytorch compile'];

function summary(rows: readonly Row[], pytorch: string): string {
  const lines = rows.map(({ model, dtype, batchSize, result, stepMs = {}, speedup, memory = {}, ceilings }) => {
    const times = contestants.map((name) => stepMs[name]?.median.toFixed(2) ?? '');
    const own = stepMs['node-cudnn'];
    const bytes = ['node-cudnn', 'pytorch compile'].map((name) => memory[name]?.peakBytes);
    return [
      ...[model, dtype, batchSize, result, ...times, own ? ((1000 * batchSize) / own.median).toFixed(0) : ''],
      ...[speedup?.median.toFixed(2) ?? '', ...bytes.map((count) => (count ? (count / 2 ** 20).toFixed(0) : ''))],
      ...[ceilings ? (ceilings.gflops / 1000).toFixed(1) : '', ceilings?.gbPerSecond.toFixed(0) ?? ''],
    ];
  });
  const times = contestants.map((name) => `${name} ms`);
  const rest = ['images/s', 'times as fast as the faster PyTorch', 'MiB', 'MiB pytorch compile', 'TFLOP/s', 'GB/s'];
  const head = ['model', 'precision', 'batch', 'result', ...times, ...rest];
  const markdown = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`);
  return [
    `Steps: forward, backward and update; medians. PyTorch: ${pytorch}. TFLOP/s and GB/s: a matrix product and a copy on`,
    `this device in the same run.${rehearse ? ' A rehearsal: these figures mean nothing.' : ''}`,
    '',
    ...markdown,
    '',
  ].join('\n');
}

/** In the order of their worth. */
function turnsOf(withPyTorch: boolean): (readonly [Step, Peer | 'none'])[] {
  const all = rehearse ? rehearsed : steps;
  if (!withPyTorch) return all.map((step) => [step, 'none'] as const);
  const eager = rehearse ? rehearsed.slice(0, 1) : first;
  const early = eager.map((step) => [step, 'pytorch-eager'] as const);
  return [...early, ...all.map((step) => [step, 'pytorch'] as const)];
}

const { version, missing } = askPyTorch();
const pytorch = version ?? `not run (${missing})`;
/** A step's latest row that has figures. */
const rows = new Map<Step, Row>();
mkdirSync(folder, { recursive: true });
for (const [step, peer] of turnsOf(version !== undefined)) {
  const row = await measure(step, peer);
  if (row.stepMs || !rows.get(step)?.stepMs) rows.set(step, row);
  if (row.result.startsWith('failed')) process.exitCode = 1;
  const { model, dtype, batchSize, result, seconds } = row;
  console.log(`${model} ${dtype} ${batchSize}, ${peer}: ${result} (${seconds.toFixed(0)} s)`);
  const measured = [...rows.values()];
  writeFileSync(join(folder, 'steps.json'), JSON.stringify({ device, rehearsal: rehearse, pytorch, steps: measured }));
  writeFileSync(join(folder, 'steps.md'), summary(measured, pytorch));
}
if (![...rows.values()].some(({ result }) => result === 'measured')) process.exitCode = 1;
