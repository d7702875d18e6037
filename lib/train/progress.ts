import type { Device } from '../program.ts';
import type { Callback, Progress } from './callbacks.ts';
import { bytes, duration, percent } from './format.ts';
import type { LossScaleMetrics } from './loss-scale.ts';
import type { EpochMetrics } from './metrics.ts';

/** The part of a stream that progress needs; `process.stdout` and `process.stderr` are such streams. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const plainIntervalMs = 10_000;
const terminalIntervalMs = 100;
const waitingIntervalMs = 1000;

/** The progress line: rewritten in place on a terminal, a plain line every ten seconds elsewhere. */
export class ProgressLine implements Callback {
  readonly #stream: ProgressStream;
  #shown = performance.now();
  #open = false;

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  onStepsEnd(progress: Progress): void {
    const now = performance.now();
    if (now - this.#shown < (this.#stream.isTTY ? terminalIntervalMs : plainIntervalMs)) return;
    this.#shown = now;
    this.#inPlace(describeProgress(progress));
  }

  onEpochEnd(metrics: EpochMetrics, control: { readonly epochs: number }): void {
    this.line(describeEpoch(metrics, control.epochs));
    this.#shown = performance.now();
  }

  onTrainEnd(): void {
    this.#clear();
  }

  /** The result of `work`; as long as it is not there, says what is done, and since when. */
  async during<T>(what: string, work: Promise<T>): Promise<T> {
    const began = performance.now();
    const say = () => this.#inPlace(`${what} (${duration((performance.now() - began) / 1000)})`);
    const timer = setInterval(say, this.#stream.isTTY ? waitingIntervalMs : plainIntervalMs);
    try {
      return await work;
    } finally {
      clearInterval(timer);
      this.#clear();
    }
  }

  /** A line that stays. */
  line(text: string): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  #inPlace(text: string): void {
    if (!this.#stream.isTTY) {
      this.#stream.write(`${text}\n`);
      return;
    }
    this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
    this.#open = true;
  }

  #clear(): void {
    if (this.#open) this.#stream.write('\r\x1b[K');
    this.#open = false;
  }
}

/** What takes a while before the first step. */
export function describePreparation({ name, features }: Pick<Device, 'name' | 'features'>): string {
  return `preparing the step on ${name}${features.has('measures') ? '; what is fastest is measured once, and kept' : ''}`;
}

export function describeProgress(p: Progress): string {
  return [
    `epoch ${p.epoch}/${p.epochs}`,
    `step ${p.stepOfEpoch}/${p.stepsPerEpoch}`,
    `loss ${p.loss.toFixed(4)}`,
    `accuracy ${percent(p.accuracy)}`,
    `${Math.round(p.imagesPerSecond)} images/s`,
    bytes(p.memoryBytes),
    `${duration(p.remainingSeconds)} left`,
    ...describeLossScale(p),
  ].join('  ');
}

export function describeEpoch(m: EpochMetrics, epochs: number): string {
  return [
    `epoch ${String(m.epoch).padStart(String(epochs).length)}/${epochs}`,
    `loss ${m.trainLoss.toFixed(4)}`,
    `accuracy ${percent(m.trainAccuracy)}`,
    `test loss ${m.testLoss.toFixed(4)}`,
    `test accuracy ${percent(m.testAccuracy)}`,
    `${Math.round(m.imagesPerSecond)} images/s`,
    duration(m.seconds),
    ...describeLossScale(m),
  ].join('  ');
}

function describeLossScale({ lossScale, skippedSteps }: LossScaleMetrics): string[] {
  return lossScale === undefined ? [] : [`loss scale ${lossScale}`, `${skippedSteps} steps skipped`];
}
