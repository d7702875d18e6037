import { TrainingError } from './errors.ts';
import type { Prediction, PredictOptions } from './inference.ts';
import type { LossScaleMetrics } from './loss-scale.ts';
import type { EpochMetrics } from './metrics.ts';

/** Where a run stands after a native call: the loss and accuracy are means over the epoch so far. */
export interface Progress extends LossScaleMetrics {
  /** Counted from 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps since the start of the run. */
  readonly step: number;
  readonly stepOfEpoch: number;
  readonly stepsPerEpoch: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly imagesPerSecond: number;
  readonly memoryBytes: number;
  readonly remainingSeconds: number;
  /** Of the steps of this call, in order. */
  readonly losses: readonly number[];
}

/** What a callback may do to the run. */
export interface TrainingControl {
  readonly epochs: number;
  /** Set to true: the run ends after the current epoch. Named as in Keras. */
  stopTraining: boolean;
  save(file: string): Promise<void>;
  /** See Trainer.predict. */
  predict(images: Uint8Array, options?: PredictOptions): Promise<readonly Prediction[]>;
}

type MaybePromise = void | Promise<void>;

/** Called by `Trainer.fit` and awaited. `name`, `state` and `restore` carry a callback's memory through checkpoints. */
export interface Callback {
  onTrainBegin?(control: TrainingControl): MaybePromise;
  onEpochBegin?(epoch: number, control: TrainingControl): MaybePromise;
  onStepsEnd?(progress: Progress, control: TrainingControl): MaybePromise;
  onEpochEnd?(metrics: EpochMetrics, control: TrainingControl): MaybePromise;
  onTrainEnd?(control: TrainingControl): MaybePromise;
  readonly name?: string;
  state?(): Record<string, number | null>;
  restore?(state: Readonly<Record<string, number | null>>): void;
}

export type Monitor = 'trainLoss' | 'trainAccuracy' | 'testLoss' | 'testAccuracy';

class Best {
  readonly monitor: Monitor;
  readonly minDelta: number;
  value: number | null = null;

  constructor(monitor: Monitor, minDelta: number) {
    this.monitor = monitor;
    this.minDelta = minDelta;
  }

  improves(metrics: EpochMetrics): boolean {
    const now = metrics[this.monitor];
    const gain = this.monitor.endsWith('Loss') ? (this.value ?? Infinity) - now : now - (this.value ?? -Infinity);
    if (!(gain > this.minDelta)) return false;
    this.value = now;
    return true;
  }
}

/** Ends the run when the monitored metric has not improved by more than `minDelta` for `patience` epochs (as in Keras). */
export class EarlyStopping implements Callback {
  readonly name: string;
  readonly #best: Best;
  readonly #patience: number;
  #waited = 0;

  constructor({
    monitor = 'testLoss',
    patience = 0,
    minDelta = 0,
  }: {
    monitor?: Monitor;
    patience?: number;
    minDelta?: number;
  } = {}) {
    if (!Number.isInteger(patience) || patience < 0) {
      throw new TrainingError(
        'ERR_OPTION',
        `EarlyStopping: patience is ${patience}; give a number of epochs, 0 or more`,
      );
    }
    this.name = `EarlyStopping(${monitor})`;
    this.#patience = patience;
    this.#best = new Best(monitor, minDelta);
  }

  onEpochEnd(metrics: EpochMetrics, control: TrainingControl): void {
    this.#waited = this.#best.improves(metrics) ? 0 : this.#waited + 1;
    if (this.#waited > 0 && this.#waited >= this.#patience) control.stopTraining = true;
  }

  state(): Record<string, number | null> {
    return { best: this.#best.value, waited: this.#waited };
  }

  restore(state: Readonly<Record<string, number | null>>): void {
    this.#best.value = state.best ?? null;
    this.#waited = state.waited ?? 0;
  }
}

/** Saves a checkpoint of its own at the end of epochs, beside last and best; `{epoch}` in `filepath` is filled in. */
export class ModelCheckpoint implements Callback {
  readonly name: string;
  readonly #filepath: string;
  readonly #saveBestOnly: boolean;
  readonly #best: Best;

  constructor({
    filepath,
    monitor = 'testLoss',
    saveBestOnly = false,
  }: {
    filepath: string;
    monitor?: Monitor;
    saveBestOnly?: boolean;
  }) {
    this.name = `ModelCheckpoint(${filepath})`;
    this.#filepath = filepath;
    this.#saveBestOnly = saveBestOnly;
    this.#best = new Best(monitor, 0);
  }

  async onEpochEnd(metrics: EpochMetrics, control: TrainingControl): Promise<void> {
    const improved = this.#best.improves(metrics);
    if (improved || !this.#saveBestOnly) {
      await control.save(this.#filepath.replaceAll('{epoch}', String(metrics.epoch)));
    }
  }

  state(): Record<string, number | null> {
    return { best: this.#best.value };
  }

  restore(state: Readonly<Record<string, number | null>>): void {
    this.#best.value = state.best ?? null;
  }
}
