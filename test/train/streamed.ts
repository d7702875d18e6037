// Pictures in memory, as if they were read while they are used.
import type { Batch, BatchOrder, ImageSet, StreamedSet } from '../../lib/data/types.ts';

export function streamedOf({ images, ...set }: ImageSet): StreamedSet {
  const bytes = set.height * set.width * set.channels;
  async function* batches({ batchSize, order, from = 0 }: BatchOrder): AsyncGenerator<Batch, void, void> {
    const all = order ?? Int32Array.from({ length: set.count }, (_, i) => i);
    for (let at = from * batchSize; at < all.length; at += batchSize) {
      const batch = { images: new Uint8Array(batchSize * bytes), labels: new Int32Array(batchSize).fill(-1) };
      for (const [row, index] of all.subarray(at, at + batchSize).entries()) {
        batch.images.set(images.subarray(index * bytes, (index + 1) * bytes), row * bytes);
        batch.labels[row] = set.labels[index] as number;
      }
      yield batch;
    }
  }
  return { ...set, batches, damaged: new Map() };
}
