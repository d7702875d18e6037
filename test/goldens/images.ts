import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openDataSet } from '../../lib/data/index.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** 32 images, uint8 [32, 32, 32, 3]. */
export const batchImages = (): Uint8Array => readFileSync(path('images.bin'));

export const golden = <T>(name: string): T => JSON.parse(readFileSync(path(`${name}.json`), 'utf8')) as T;

const curveCount = 1600;
const pixels = 32 * 32 * 3;

/** 1,600 images of cifar10-mini in mixed order, uint8 [1600, 32, 32, 3], then one byte a label. */
export async function curveImages(): Promise<Uint8Array> {
  const { train } = await openDataSet('cifar10-mini', { cacheDir: path('../../.cache') });
  const bytes = new Uint8Array(curveCount * (pixels + 1));
  for (let i = 0; i < curveCount; i++) {
    const from = (i * 1597) % train.count;
    bytes.set(train.images.subarray(from * pixels, (from + 1) * pixels), i * pixels);
    bytes[curveCount * pixels + i] = train.labels[from] as number;
  }
  return bytes;
}
