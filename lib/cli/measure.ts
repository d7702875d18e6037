// Timing of training steps in this process.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Device, Inputs, Program } from '../program.ts';
import { describePreparation, type ProgressLine } from '../train/progress.ts';
import { type Ceilings, measureCeilings } from './ceilings.ts';
import { type Layer, layersOf, type OpShare, opShares, type Profiles } from './layers.ts';
import { wattsDuring } from './power.ts';
import { type Spread, spread } from './statistics.ts';
import {
  forwardProgram,
  stepInputs,
  type TrainingProgram,
  type TrainingProgramOptions,
  trainingProgram,
} from './training-program.ts';

export interface BenchResult {
  readonly device: string;
  /** Processor, libraries, tf32, deterministic. */
  readonly description: string;
  readonly threads: number;
  readonly model: string;
  /** Given where the network has auxiliary heads. */
  readonly auxLogits?: true;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly dtype: string;
  /** Forward, backward and update. */
  readonly stepMs: Spread;
  /** Prediction of a batch, which has to be brought to the device. */
  readonly forwardMs: Spread;
  /** Trained. */
  readonly imagesPerSecond: number;
  /** Processor time of the thread that runs JavaScript, as a share of the time that the steps took. */
  readonly javascriptShare: number;
  /** Share of a step in which no kernel runs: what its kernels take, as profiled, is missing that much of its time. */
  readonly betweenKernels: number;
  /** The most that state, program and data held. */
  readonly peakBytes: number;
  /** Mean of the device while steps were timed; not there where it cannot be read. */
  readonly watts?: number;
  readonly ceilings: Ceilings;
  readonly ops: readonly OpShare[];
  readonly layers: readonly Layer[];
}

const warmUpSteps = 10;
const profiles = 5;

export async function bench(
  device: Device,
  options: TrainingProgramOptions,
  steps: number,
  progress?: ProgressLine,
): Promise<{ result: BenchResult; profiles: Profiles }> {
  const preparing = Stepper.create(device, options);
  const stepper = await (progress?.during(describePreparation(device), preparing) ?? preparing);
  const { median } = spread((await stepper.time(1)).times);
  progress?.line(
    `a step takes about ${median.toPrecision(3)} ms; timing ${steps} predictions and ${steps} training steps`,
  );
  const forwardMs = spread(await stepper.forward(device, options, steps));
  const [{ times, javascriptShare }, watts] = await wattsDuring(device.name, () => stepper.time(steps));
  const { peakBytes } = device.memory();
  const profiles = await stepper.profile();
  stepper.close();
  const ceilings = await measureCeilings(device, options.ampDtype);
  const stepMs = spread(times);
  const ops = opShares(profiles);
  const kernelMs = ops.reduce((sum, { microseconds }) => sum + microseconds, 0) / 1000;
  const { model, batchSize, imageSize, ampDtype, auxLogits } = options;
  const result = {
    device: device.name,
    description: device.description,
    threads: device.threads,
    model,
    ...(auxLogits && { auxLogits }),
    batchSize,
    imageSize,
    dtype: ampDtype,
    stepMs,
    forwardMs,
    imagesPerSecond: (1000 * batchSize) / stepMs.median,
    javascriptShare,
    betweenKernels: Math.max(0, 1 - kernelMs / stepMs.median),
    peakBytes,
    ...(watts !== undefined && { watts }),
    ceilings,
    ops,
    layers: layersOf(profiles, ceilings),
  };
  return { result, profiles };
}

/** A warm training step. */
export class Stepper {
  readonly #training: TrainingProgram;
  readonly #batchSize: number;

  private constructor(training: TrainingProgram, batchSize: number) {
    this.#training = training;
    this.#batchSize = batchSize;
  }

  static async create(device: Device, options: TrainingProgramOptions): Promise<Stepper> {
    const stepper = new Stepper(await trainingProgram(device, options), options.batchSize);
    await stepper.time(warmUpSteps);
    return stepper;
  }

  /** Milliseconds of each of `steps` steps, each a native call of its own. */
  async time(steps: number): Promise<{ times: number[]; javascriptShare: number }> {
    const inputs = stepInputs(this.#training, this.#batchSize, 1);
    const start = performance.now();
    const before = javascriptMs();
    const times = await timesOf(this.#training.program, inputs, steps);
    return { times, javascriptShare: (javascriptMs() - before) / (performance.now() - start) };
  }

  /** Milliseconds of each of `steps` predictions of a batch. */
  async forward(device: Device, options: TrainingProgramOptions, steps: number): Promise<number[]> {
    const program = await forwardProgram(device, this.#training, options);
    const { images, count } = this.#training.data.train;
    const inputs = { images: images.subarray(0, (images.length / count) * this.#batchSize) };
    await timesOf(program, inputs, warmUpSteps);
    const times = await timesOf(program, inputs, steps);
    program.close();
    return times;
  }

  async profile(): Promise<Profiles> {
    const inputs = stepInputs(this.#training, this.#batchSize, 1);
    const rows = [];
    for (let i = 0; i < profiles; i += 1) rows.push(await this.#training.program.profile(inputs));
    return rows;
  }

  close(): void {
    this.#training.program.close();
    this.#training.state.close();
  }
}

async function timesOf(program: Program, inputs: Inputs, steps: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < steps; i += 1) {
    const begin = performance.now();
    await program.step(inputs);
    times.push(performance.now() - begin);
  }
  return times;
}

/** On Linux what the thread spent on a processor; elsewhere what the event loop was awake, waits for a core included. */
function javascriptMs(): number {
  if (process.platform !== 'linux') return performance.eventLoopUtilization().active;
  const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
  return Number(nanoseconds) / 1e6;
}
