// What a device draws while it works, where the machine lets it be read.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

const sampleMs = 100;
const energyFile = '/sys/class/powercap/intel-rapl:0/energy_uj';

/** Mean watts of `device` while `work` ran; undefined where nothing tells. */
export async function wattsDuring<T>(device: string, work: () => Promise<T>): Promise<[T, number | undefined]> {
  return device.startsWith('cuda') ? gpuWatts(Number(device.split(':')[1] ?? 0), work) : processorWatts(work);
}

async function gpuWatts<T>(ordinal: number, work: () => Promise<T>): Promise<[T, number | undefined]> {
  const flags = [
    '--query-gpu=power.draw',
    '--format=csv,noheader,nounits',
    '-i',
    String(ordinal),
    '-lms',
    `${sampleMs}`,
  ];
  const samples: number[] = [];
  const meter: ChildProcess = spawn('nvidia-smi', flags, { stdio: ['ignore', 'pipe', 'ignore'] });
  meter.on('error', () => {}); // no nvidia-smi: no samples
  if (meter.stdout) createInterface({ input: meter.stdout }).on('line', (line) => samples.push(Number(line)));
  try {
    const result = await work();
    const valid = samples.filter(Number.isFinite);
    const sum = valid.reduce((total, watts) => total + watts, 0);
    return [result, valid.length > 0 ? sum / valid.length : undefined];
  } finally {
    meter.kill();
  }
}

async function processorWatts<T>(work: () => Promise<T>): Promise<[T, number | undefined]> {
  const [before, begin] = [joules(), performance.now()];
  const result = await work();
  const [after, seconds] = [joules(), (performance.now() - begin) / 1000];
  const known = before !== undefined && after !== undefined && after > before; // the counter wraps
  return [result, known ? (after - before) / seconds : undefined];
}

/** Of the first socket since some time ago. */
function joules(): number | undefined {
  try {
    return Number(readFileSync(energyFile, 'utf8')) / 1e6;
  } catch {
    return undefined;
  }
}
