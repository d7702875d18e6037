import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { TrainingError } from './errors.ts';
import type { LossScaleMetrics } from './loss-scale.ts';

/** One line of metrics.jsonl. Accuracies are fractions; `seconds` is the time spent in training steps. */
export interface EpochMetrics extends LossScaleMetrics {
  readonly epoch: number;
  readonly step: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  readonly testLoss: number;
  readonly testAccuracy: number;
  readonly imagesPerSecond: number;
  readonly seconds: number;
}

export interface Sums {
  readonly steps: number;
  readonly images: number;
  /** Of the steps whose loss was finite. */
  readonly loss: number;
  /** Steps whose loss was not, which loss scaling skips; none in checkpoints of earlier versions. */
  readonly lost?: number;
  readonly correct: number;
  readonly seconds: number;
}

export const noSums: Sums = { steps: 0, images: 0, loss: 0, correct: 0, seconds: 0 };

/** What the device wrote for each step of one native call, in step order. */
export interface StepRecords {
  readonly losses: readonly number[];
  readonly correct: readonly number[];
}

/** Adds step by step, so that the sums do not depend on how steps were grouped into native calls. */
export function addSteps(sums: Sums, records: StepRecords, batchSize: number, seconds: number): Sums {
  const finite = records.losses.filter(Number.isFinite);
  return {
    steps: sums.steps + records.losses.length,
    images: sums.images + records.losses.length * batchSize,
    loss: finite.reduce((sum, loss) => sum + loss, sums.loss),
    lost: (sums.lost ?? 0) + records.losses.length - finite.length,
    correct: records.correct.reduce((sum, count) => sum + count, sums.correct),
    seconds: sums.seconds + seconds,
  };
}

export function meanLoss({ loss, steps, lost = 0 }: Sums): number {
  return loss / (steps - lost);
}

/** metrics.jsonl: one line an epoch. */
export class MetricsLog {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  async append(metrics: EpochMetrics): Promise<void> {
    await this.#write(() => appendFile(this.file, `${JSON.stringify(metrics)}\n`));
  }

  /** The lines of the epochs up to and with `epoch`; a line that a crash cut short ends the list. */
  async read(epoch: number): Promise<EpochMetrics[]> {
    const lines: EpochMetrics[] = [];
    const text = await readFile(this.file, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      const metrics = parseLine(line);
      if (metrics === undefined || metrics.epoch > epoch) break;
      lines.push(metrics);
    }
    return lines;
  }

  async replace(lines: readonly EpochMetrics[]): Promise<void> {
    await this.#write(() => writeFile(this.file, lines.map((line) => `${JSON.stringify(line)}\n`).join('')));
  }

  async #write(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (cause) {
      throw new TrainingError(
        'ERR_SAVE',
        `${this.file} could not be written: ${(cause as Error).message}; free space or choose another --output, ` +
          'then resume from the last checkpoint',
        { cause },
      );
    }
  }
}

function parseLine(line: string): EpochMetrics | undefined {
  try {
    return JSON.parse(line) as EpochMetrics;
  } catch {
    return undefined;
  }
}
