import { Sampler } from '../data/sampler.ts';
import { type Batch, isStreamed, type PictureSet, type StreamedSet } from '../data/types.ts';
import type { Schedule } from '../optim/index.ts';
import type { Inputs, Program, State } from '../program.ts';
import { TrainingError } from './errors.ts';
import { feed, nextBatch } from './feed.ts';
import type { StepRecords } from './metrics.ts';
import { ringLength } from './step.ts';

const secondsPerCall = 0.25;

export interface RunnerOptions {
  readonly program: Program;
  readonly state: State;
  readonly schedule: Schedule;
  readonly batchSize: number;
  readonly set: PictureSet;
  readonly seed: number;
  /** Fixed number of steps per native call; by default about a quarter of a second's worth. */
  readonly stepsPerCall?: number | undefined;
}

/** Runs training steps: many per native call, or one per batch that streams in. How many changes no result. */
export class StepRunner {
  readonly stepsPerEpoch: number;
  readonly #options: RunnerOptions;
  readonly #sampler: Sampler;
  #order: { epoch: number; indices: Int32Array } | undefined;
  #feed: { epoch: number; next: number; batches: AsyncGenerator<Batch, void, void> } | undefined;
  #secondsPerStep = Infinity;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { count } = options.set;
    this.#sampler = new Sampler({ count, seed: options.seed });
    this.stepsPerEpoch = Math.floor(count / options.batchSize);
  }

  /** How many steps the next call should run. */
  get callLength(): number {
    const wanted = this.#options.stepsPerCall ?? Math.max(1, Math.floor(secondsPerCall / this.#secondsPerStep));
    return Math.min(wanted, ringLength);
  }

  /** Runs `steps` steps of one epoch (counted from 0), from its step `stepOfEpoch` on. */
  async run(epoch: number, stepOfEpoch: number, steps: number): Promise<StepRecords & { seconds: number }> {
    const { program, batchSize, set } = this.#options;
    const first = epoch * this.stepsPerEpoch + stepOfEpoch;
    const rates = this.#learningRates(first, steps);
    const begin = performance.now();
    if (isStreamed(set)) await feed(program, this.#inputs(set, epoch, stepOfEpoch, rates));
    else {
      const indices = this.#indices(epoch).subarray(stepOfEpoch * batchSize, (stepOfEpoch + steps) * batchSize);
      await program.run(steps, { indices, learning_rate: rates });
    }
    const records = await this.#records(first, steps);
    const seconds = (performance.now() - begin) / 1000;
    this.#secondsPerStep = seconds / steps;
    return { ...records, seconds };
  }

  async *#inputs(
    set: StreamedSet,
    epoch: number,
    stepOfEpoch: number,
    rates: Float32Array,
  ): AsyncGenerator<Inputs, void, void> {
    for (let i = 0; i < rates.length; i += 1) {
      const batch = await this.#nextBatch(set, epoch, stepOfEpoch + i);
      yield { ...batch, learning_rate: rates.subarray(i, i + 1) };
    }
  }

  async #nextBatch(set: StreamedSet, epoch: number, stepOfEpoch: number): Promise<Batch> {
    if (this.#feed?.epoch !== epoch || this.#feed.next !== stepOfEpoch) {
      const { batchSize } = this.#options;
      const order = this.#indices(epoch).subarray(0, this.stepsPerEpoch * batchSize);
      const batches = set.batches({ batchSize, order, epoch, from: stepOfEpoch });
      this.#feed = { epoch, next: stepOfEpoch, batches };
    }
    const batch = await nextBatch(this.#feed.batches);
    this.#feed.next += 1;
    return batch;
  }

  #indices(epoch: number): Int32Array {
    if (this.#order?.epoch !== epoch) this.#order = { epoch, indices: this.#sampler.order(epoch) };
    return this.#order.indices;
  }

  #learningRates(first: number, steps: number): Float32Array {
    return Float32Array.from({ length: steps }, (_, i) => checkedRate(this.#options.schedule, first + i));
  }

  async #records(first: number, steps: number): Promise<StepRecords> {
    const { state } = this.#options;
    const losses = await state.read('ring.loss');
    const correct = await state.read('ring.correct');
    const slots = Array.from({ length: steps }, (_, i) => (first + i) % ringLength);
    return { losses: slots.map((at) => losses[at] as number), correct: slots.map((at) => correct[at] as number) };
  }
}

/** The device works in float32: what is too large for it is infinite there. */
export function checkedRate(schedule: Schedule, step: number): number {
  const rate = schedule(step);
  if (Number.isFinite(Math.fround(rate)) && rate >= 0) return rate;
  throw new TrainingError(
    'ERR_OPTION',
    `learning rate of step ${step} is ${rate}; a schedule gives finite numbers from 0`,
  );
}
