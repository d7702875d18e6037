// What to say when a training step does not fit: the largest batch that does.
import type { Graph } from '../graph/index.ts';
import { compile, type Device, type MemoryNeed, type Program, planMemory, type State } from '../program.ts';
import { TrainingError } from './errors.ts';

/**
 * Compiles the step for `batchSize` pictures. Where the device lacks the memory, nothing of the step is allocated and
 * the error names the largest batch that fits.
 */
export async function compileToFit(
  graphOf: (batchSize: number) => Graph,
  batchSize: number,
  on: { readonly device: Device; readonly state: State },
): Promise<Program> {
  try {
    return await compile(graphOf(batchSize), on);
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'ERR_OUT_OF_MEMORY') throw cause;
    const largest = await largestBatch((size) => planMemory(graphOf(size), on), batchSize);
    const cure = largest > 0 ? `largest that fits: ${largest} (--batch-size)` : 'not even a batch of 1 fits';
    throw new TrainingError(
      'ERR_MEMORY',
      `batch ${batchSize}: ${(cause as Error).message.replace('node-cudnn: ', '')}; ${cure}`,
      { cause },
    );
  }
}

/** The largest batch below `tooLarge` whose plan fits, found by halving the interval; 0 where none does. */
export async function largestBatch(
  needOf: (batchSize: number) => Promise<MemoryNeed>,
  tooLarge: number,
): Promise<number> {
  let [fits, fails] = [0, tooLarge];
  while (fails - fits > 1) {
    const size = Math.floor((fits + fails) / 2);
    const { bytes, availableBytes } = await needOf(size);
    if (bytes <= availableBytes) fits = size;
    else fails = size;
  }
  return fits;
}
