// Claim: a warm training step allocates no device memory, and what its threads ask of the heap (oneDNN keeps small lists
// of arguments there) is a constant of a few kilobytes that the same step gives back. Counts every heap call of every
// thread over warm steps of ResNet-20. Linux with gcc:
//   npx tsx bench/allocations.ts
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Stepper } from '../lib/cli/measure.ts';
import { Device } from '../lib/program.ts';
import { writeRecord } from './record.ts';

const threadsAtMost = 1024;
const steps = 50;
const options = {
  model: 'cifar-resnet20',
  batchSize: 128,
  imageSize: 32,
  numClasses: 10,
  inChannels: 3 as const,
  ampDtype: 'float32' as const,
};

interface Count {
  readonly calls: number;
  readonly bytes: number;
}

const counts = process.env.HEAP_COUNTS;
if (counts === undefined) preload();
else await measure(counts);

/** Runs this file again with the counter in place. */
function preload(): void {
  const folder = mkdtempSync(join(tmpdir(), 'node-cudnn-heap-'));
  try {
    const library = join(folder, 'counter.so');
    const source = fileURLToPath(new URL('heap/counter.c', import.meta.url));
    execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, source]);
    const file = join(folder, 'counts');
    writeFileSync(file, Buffer.alloc(24 * threadsAtMost));
    const env = { ...process.env, HEAP_COUNTS: file, LD_PRELOAD: library };
    const child = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      env,
      stdio: 'inherit',
    });
    process.exitCode = child.status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(file: string): Promise<void> {
  const device = await Device.open('cpu');
  const stepper = await Stepper.create(device, options);
  const memory = device.memory();
  const before = read(file);
  const { javascriptShare } = await stepper.time(steps);
  const after = read(file);
  const deviceBytes = device.memory().bytes - memory.bytes + device.memory().peakBytes - memory.peakBytes;
  const native = [...after]
    .filter(([thread]) => thread !== process.pid)
    .map(([thread, now]) => perStep(now, before.get(thread)));
  const busiest = native.reduce((most, count) => (count.calls > most.calls ? count : most));
  const javascript = perStep(after.get(process.pid) as Count, before.get(process.pid));
  const figures = {
    ...options,
    device: device.description,
    steps,
    deviceBytes,
    deviceThread: busiest,
    javascriptThread: javascript,
    javascriptShare,
  };
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\nrecord: ${await writeRecord('allocations', figures)}\n`);
  stepper.close();
  await device.close();
}

function read(file: string): Map<number, Count> {
  const numbers = new BigInt64Array(new Uint8Array(readFileSync(file)).buffer);
  const found = new Map<number, Count>();
  for (let i = 0; i < numbers.length && numbers[i] !== 0n; i += 3) {
    found.set(Number(numbers[i]), { calls: Number(numbers[i + 1]), bytes: Number(numbers[i + 2]) });
  }
  return found;
}

function perStep(now: Count, before: Count = { calls: 0, bytes: 0 }): Count {
  return { calls: (now.calls - before.calls) / steps, bytes: (now.bytes - before.bytes) / steps };
}
