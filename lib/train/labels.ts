import type { PictureSet } from '../data/types.ts';
import type { Graph } from '../graph/index.ts';
import { TrainingError } from './errors.ts';

/** Names the first picture whose label is none of so many classes. */
export function checkLabels(set: PictureSet, classes: number): void {
  const row = set.labels.findIndex((label) => label < 0 || label >= classes);
  if (row < 0) return;
  const file = set.files?.[row];
  throw new TrainingError(
    'ERR_OPTION',
    `picture ${row} of ${set.name}${file === undefined ? '' : ` (${file})`} has label ${set.labels[row]}, ` +
      `but there are ${classes} classes (labels 0 to ${classes - 1})`,
  );
}

/** How many classes the network of a step tells apart. */
export function classesOf(graph: Graph): number {
  return graph.find('logits').shape[1] as number;
}
