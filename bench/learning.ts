// Claim: ResNet-20 on CIFAR-10 (10 epochs, one cycle, batch 128) reaches a test accuracy within the spread of PyTorch's
// runs of the same recipe on the same files. Runs `train` with three seeds (a run that --output already holds in full
// is not repeated) and merges the lines of bench/peers/pytorch_learning.py, one file a seed:
//   npx tsx bench/learning.ts --data FOLDER --pytorch a.jsonl --pytorch b.jsonl --pytorch c.jsonl
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeRecord } from './record.ts';

interface Row {
  readonly epoch: number;
  readonly testAccuracy: number;
}

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    pytorch: { type: 'string', multiple: true, default: [] },
    seeds: { type: 'string', default: '0,1,2' },
    epochs: { type: 'string', default: '10' },
    threads: { type: 'string', default: '1' },
    output: { type: 'string', default: join('runs', 'learning') },
  },
});
if (values.data === undefined) throw new Error('learning: --data FOLDER is missing');

const recipe = { epochs: Number(values.epochs), batchSize: 128, lr: 0.2, sched: 'onecycle', weightDecay: 5e-4 };
const runs = values.seeds.split(',').map((seed) => ours(Number(seed), values.data as string, values.output));
const peers = values.pytorch.map(theirs);
const figures = {
  recipe,
  model: 'cifar-resnet20',
  threads: Number(values.threads),
  data: basename(values.data),
  ours: runs,
  pytorch: peers,
  ...verdict(),
};
const file = await writeRecord('learning-cifar-resnet20', figures);
process.stdout.write(`${JSON.stringify(verdict(), null, 2)}\nrecord: ${file}\n`);

function ours(seed: number, data: string, output: string): { seed: number; epochs: Row[] } {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const { epochs, batchSize, lr, sched, weightDecay } = recipe;
  const flags = [
    '--epochs',
    epochs,
    '--batch-size',
    batchSize,
    '--lr',
    lr,
    '--sched',
    sched,
    '--weight-decay',
    weightDecay,
  ];
  const folder = join(output, `seed-${seed}`);
  const finished = rowsOf(join(folder, 'metrics.jsonl'));
  if (finished.length === epochs) return { seed, epochs: finished };
  const place = ['--data', data, '--seed', seed, '--output', folder, '--overwrite', '--json'];
  const head = ['train', '--model', 'cifar-resnet20', '--threads', values.threads];
  const args = [main, ...head, ...flags, ...place].map(String);
  const answer = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return { seed, epochs: (JSON.parse(answer) as { history: Row[] }).history };
}

function rowsOf(file: string): Row[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Row);
}

/** The first line is the configuration, then one line an epoch. */
function theirs(path: string): { config: unknown; epochs: Row[] } {
  const [head, ...epochs] = rowsOf(path) as [{ readonly config: unknown } & Row, ...Row[]];
  return { config: head.config, epochs };
}

function verdict() {
  const final = (all: readonly { epochs: readonly Row[] }[]) =>
    all.map(({ epochs }) => epochs.at(-1)?.testAccuracy ?? 0);
  const [own, peer] = [final(runs), final(peers)];
  const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;
  const spread = { low: Math.min(...peer), high: Math.max(...peer) };
  return {
    testAccuracy: { ours: own, pytorch: peer, meanOurs: mean(own), meanPytorch: mean(peer), spreadPytorch: spread },
  };
}
