import type { Batch } from '../data/types.ts';
import type { Inputs, Program } from '../program.ts';
import { TrainingError } from './errors.ts';

/** One step computes, beside it the device copies the inputs of the next; one waits, so that the device never does. */
const underWay = 3;

/**
 * Runs a step for each of `inputs`, which are asked for while the steps before run. The first error, be it of a step or
 * of `inputs`, is thrown when no step is under way any more.
 */
export async function feed(
  program: Pick<Program, 'step'>,
  inputs: AsyncIterable<Inputs> | Iterable<Inputs>,
): Promise<void> {
  const steps: Promise<void>[] = [];
  try {
    for await (const one of inputs) {
      const step = program.step(one);
      step.catch(() => undefined); // reported when it is awaited
      steps.push(step);
      if (steps.length === underWay) await steps.shift();
    }
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) await step;
  } finally {
    await Promise.allSettled(steps);
  }
}

/** The next batch of a streamed set, which must give as many as its count asks for. */
export async function nextBatch(batches: AsyncGenerator<Batch, void, void>): Promise<Batch> {
  const { value } = await batches.next();
  if (value) return value;
  throw new TrainingError(
    'ERR_OPTION',
    'the data set ended before it gave the batches that its count asks for; batches() fills up the last one and gives them all',
  );
}
