import { createModel } from '../models/index.ts';
import type { Module } from '../nn/index.ts';
import { type Checkpoint, readCheckpoint } from '../train/index.ts';

export const checkpointOption = {
  checkpoint: {
    type: 'texts',
    value: 'FILE',
    description: 'a best.safetensors or last.safetensors; several: the mean of their class probabilities',
  },
} as const;

/** A checkpoint and the model that it was made with. */
export async function openCheckpoint(file: string): Promise<{ checkpoint: Checkpoint; model: Module }> {
  const checkpoint = await readCheckpoint(file);
  const { name, options } = checkpoint.info.model;
  return { checkpoint, model: createModel(name, options) };
}
