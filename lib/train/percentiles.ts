// How the input of a unit is spread over pictures, and how that moves while the model learns: figure 1 of Ioffe and
// Szegedy 2015.
import type { Callback, Progress, TrainingControl } from './callbacks.ts';
import { TrainingError } from './errors.ts';

export interface PercentilePoint {
  readonly step: number;
  /** The 15th, 50th and 85th percentile over the pictures. */
  readonly percentiles: readonly [low: number, median: number, high: number];
}

export interface UnitPercentilesOptions {
  /** Name of the layer whose output is the unit's input, e.g. 'fc3' or 'layer3.0.bn1'. */
  readonly endPoint: string;
  /** Which of the end point's numbers, counted within one picture. Default 0. */
  readonly unit?: number;
  /** Pictures [count, height, width, channels] of uint8. */
  readonly images: Uint8Array;
  /** Steps between two looks; a look falls to the end of a native call. Default 50. */
  readonly every?: number;
}

const shares = [0.15, 0.5, 0.85] as const;

/** Records the percentiles of a unit's input over the same pictures, before training and every so many steps. */
export class UnitPercentiles implements Callback {
  readonly points: PercentilePoint[] = [];
  readonly #options: Required<UnitPercentilesOptions>;
  #next = 0;

  constructor(options: UnitPercentilesOptions) {
    this.#options = { unit: 0, every: 50, ...options };
    const { unit, every } = this.#options;
    if (!Number.isInteger(unit) || unit < 0) throw refused('unit', unit, 'an integer of at least 0');
    if (!Number.isInteger(every) || every < 1) throw refused('every', every, 'a number of steps');
  }

  async onTrainBegin(control: TrainingControl): Promise<void> {
    if (this.points.length === 0) await this.#look(0, control);
  }

  async onStepsEnd({ step }: Pick<Progress, 'step'>, control: TrainingControl): Promise<void> {
    if (step >= this.#next) await this.#look(step, control);
  }

  async #look(step: number, control: TrainingControl): Promise<void> {
    const { endPoint, unit, images, every } = this.#options;
    const predictions = await control.predict(images, { endPoints: [endPoint] });
    const inputs = predictions.map(({ endPoints }) => {
      const data = endPoints?.[endPoint]?.data ?? [];
      const input = data[unit];
      if (input !== undefined) return input;
      throw refused('unit', unit, `below ${data.length}, as many as '${endPoint}' has in a picture`);
    });
    const [low, median, high] = percentiles(inputs, shares) as [number, number, number];
    this.points.push({ step, percentiles: [low, median, high] });
    this.#next = (Math.floor(step / every) + 1) * every;
  }
}

/** With linear interpolation between the two nearest ranks, as numpy.percentile. */
export function percentiles(values: readonly number[], at: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return at.map((share) => {
    const rank = share * (sorted.length - 1);
    const [below, above] = [Math.floor(rank), Math.ceil(rank)].map((i) => sorted[i] as number) as [number, number];
    return below + (above - below) * (rank - Math.floor(rank));
  });
}

function refused(name: string, value: number, words: string): TrainingError {
  return new TrainingError('ERR_OPTION', `UnitPercentiles: ${name} is ${value}; give ${words}`);
}
