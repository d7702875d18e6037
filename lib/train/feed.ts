import type { Inputs, Program } from '../program.ts';

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
