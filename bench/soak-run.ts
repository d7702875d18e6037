// Trains a small net for many steps and watches memory, handles and the event loop.
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { syntheticDataSet } from '../lib/data/index.ts';
import { BatchNorm2d, Conv2d, GlobalAvgPool, Linear, ReLU, Sequential } from '../lib/nn/index.ts';
import { schedules, sgd } from '../lib/optim/index.ts';
import { Trainer } from '../lib/train/index.ts';

export interface SoakOptions {
  readonly steps: number;
  /** Steps before the first look at memory. */
  readonly warmUp: number;
  readonly device?: string;
}

export interface SoakResult {
  readonly steps: number;
  readonly seconds: number;
  readonly rssBytes: { readonly before: number; readonly after: number };
  /** Slope of a straight line through resident memory after the warm-up. */
  readonly bytesPerStep: number;
  readonly deviceBytes: { readonly before: number; readonly after: number };
  readonly handles: { readonly before: number; readonly after: number };
  /** The longest time that the event loop was held up: by our code, or by the machine being busy with something else. */
  readonly longestBlockMs: number;
  /** The same of a thread that does nothing: the machine's part of it. */
  readonly idleThreadMs: number;
}

const batchSize = 16;
const stepsPerEpoch = 50;
const resolutionMs = 5;

interface Look {
  readonly step: number;
  readonly rss: number;
  readonly device: number;
  readonly handles: number;
}

export async function soak({ steps, warmUp, device = 'cpu' }: SoakOptions): Promise<SoakResult> {
  const looks: Look[] = [];
  const trainer: Trainer = await Trainer.create({
    ...{ model: smallNet(), data: smallSet(), device, batchSize, progress: false },
    epochs: (warmUp + steps) / stepsPerEpoch,
    optimizer: sgd({ momentum: 0.9 }),
    schedule: schedules.constant(0.01),
    augment: { padding: 2, flip: true },
    stepsPerCall: 10,
    callbacks: [{ onStepsEnd: ({ step }) => void (step >= warmUp && looks.push(look(step, trainer))) }],
  });
  const idle = await IdleThread.start();
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  const begin = performance.now();
  delay.enable();
  await trainer.fit();
  delay.disable();
  const seconds = (performance.now() - begin) / 1000;
  const idleThreadMs = await idle.end();
  await trainer.close();
  const [before, after] = [looks[0] as Look, looks.at(-1) as Look];
  return {
    steps: after.step - before.step,
    seconds,
    rssBytes: { before: before.rss, after: after.rss },
    bytesPerStep: slope(looks),
    deviceBytes: { before: before.device, after: after.device },
    handles: { before: before.handles, after: after.handles },
    longestBlockMs: delay.max / 1e6 - resolutionMs,
    idleThreadMs,
  };
}

/** Measures the event loop of a thread that has nothing to do. */
class IdleThread {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(): Promise<IdleThread> {
    const source = `
      const { parentPort } = require('node:worker_threads');
      const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: ${resolutionMs} });
      delay.enable();
      parentPort.on('message', () => parentPort.postMessage(delay.max / 1e6 - ${resolutionMs}));
    `;
    const worker = new Worker(source, { eval: true });
    await once(worker, 'online');
    return new IdleThread(worker);
  }

  async end(): Promise<number> {
    this.#worker.postMessage('end');
    const [longest] = (await once(this.#worker, 'message')) as [number];
    await this.#worker.terminate();
    return longest;
  }
}

function smallSet() {
  return syntheticDataSet({ size: [16, 16], trainCount: stepsPerEpoch * batchSize, testCount: 64, numClasses: 4 });
}

function smallNet(): Sequential {
  const convolution = (inputs: number, outputs: number, stride: number) =>
    new Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false });
  return new Sequential(
    ...[convolution(3, 16, 1), new BatchNorm2d(16), new ReLU()],
    ...[convolution(16, 16, 2), new BatchNorm2d(16), new ReLU()],
    new GlobalAvgPool(),
    new Linear(16, 4),
  );
}

function look(step: number, trainer: Trainer): Look {
  const handles = process.getActiveResourcesInfo().length;
  return { step, rss: process.memoryUsage.rss(), device: trainer.device.memory().bytes, handles };
}

/** Least squares: one sample of resident memory says little, garbage comes and goes. */
function slope(looks: readonly Look[]): number {
  const mean = (of: (look: Look) => number) => looks.reduce((sum, look) => sum + of(look), 0) / looks.length;
  const [step, rss] = [mean((look) => look.step), mean((look) => look.rss)];
  const covariance = mean((look) => (look.step - step) * (look.rss - rss));
  return covariance / mean((look) => (look.step - step) ** 2);
}
