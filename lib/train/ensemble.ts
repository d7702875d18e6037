// Several models as one: the mean of their class probabilities.
import { type ImageSet, isStreamed, type StreamedSet } from '../data/types.ts';
import { ArgumentError } from '../graph/index.ts';
import type { Module } from '../nn/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import { TrainingError } from './errors.ts';
import {
  type Evaluation,
  type InferenceOptions,
  type Prediction,
  predictCheckpoint,
  ranked,
  softmax,
} from './inference.ts';
import { checkLabels } from './labels.ts';

/** A checkpoint and the model that it is of. */
export interface Member {
  readonly model: Module;
  readonly checkpoint: Checkpoint;
}

type RunOptions = Omit<InferenceOptions, keyof Member | 'info'>;

export interface Ensemble {
  /** Probabilities are the means over the members, logits the logarithms of them. */
  predict(options: RunOptions & { readonly images: Uint8Array }): Promise<Prediction[]>;
  /** Loss is that of the mean probabilities. The set is one in memory. */
  evaluate(options: RunOptions & { readonly set: ImageSet | StreamedSet }): Promise<Evaluation>;
}

/**
 * Averages the class probabilities of models that know the same classes and see pictures of the same size; each
 * normalises them in its own way. The members run one after the other: memory is that of one.
 */
export function ensemble(members: readonly Member[]): Ensemble {
  checkMembers(members);
  return {
    predict: (options) => predict(members, options),
    evaluate: async ({ set, ...options }) => {
      if (isStreamed(set)) {
        throw new TrainingError(
          'ERR_OPTION',
          `ensemble: ${set.name} streams; evaluate on a set that is held in memory`,
        );
      }
      checkLabels(set, (members[0] as Member).checkpoint.info.model.classes.length);
      const predictions = await predict(members, { ...options, images: set.images });
      return score(predictions, set.labels);
    },
  };
}

async function predict(
  members: readonly Member[],
  options: RunOptions & { readonly images: Uint8Array },
): Promise<Prediction[]> {
  const [first] = members as [Member];
  const { classes } = first.checkpoint.info.model;
  const sums: Float64Array[] = [];
  for (const member of members) {
    const predictions = await predictCheckpoint({ ...options, ...member });
    predictions.forEach(({ logits }, row) => {
      sums[row] ??= new Float64Array(classes.length);
      const sum = sums[row];
      softmax(logits).forEach((probability, i) => {
        sum[i] = (sum[i] as number) + probability / members.length;
      });
    });
  }
  return sums.map((probabilities) => ranked(classes, Array.from(probabilities), Array.from(probabilities, Math.log)));
}

/** Equal probabilities rank by class, as in topk_correct. */
function score(predictions: readonly Prediction[], labels: Int32Array): Evaluation {
  const sums = { loss: 0, top1: 0, top5: 0 };
  predictions.forEach(({ logits }, row) => {
    const label = labels[row] as number;
    const own = logits[label] as number;
    const rank = logits.filter((other, i) => other > own || (other === own && i < label)).length;
    sums.loss -= own;
    sums.top1 += rank < 1 ? 1 : 0;
    sums.top5 += rank < 5 ? 1 : 0;
  });
  const images = predictions.length;
  return { images, loss: sums.loss / images, top1: sums.top1 / images, top5: sums.top5 / images };
}

function checkMembers(members: readonly Member[]): void {
  const [first, ...others] = members;
  if (!first) throw new ArgumentError('ensemble: needs at least one model');
  for (const { checkpoint } of others) {
    for (const key of ['classes', 'input'] as const) {
      const [wanted, found] = [first, { checkpoint }].map((member) =>
        JSON.stringify(member.checkpoint.info.model[key]),
      );
      if (wanted === found) continue;
      throw new TrainingError(
        'ERR_CHECKPOINT',
        `ensemble: ${key} of ${first.checkpoint.file} is ${wanted}, of ${checkpoint.file} ${found}; ` +
          'average models that were trained on the same kind of data',
      );
    }
  }
}
