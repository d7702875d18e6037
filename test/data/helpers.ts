import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import { afterAll } from 'vitest';

/** A folder that goes with the test file. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'node-cudnn-test-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export type Files = Record<string, Uint8Array>;

export async function writeFiles(folder: string, files: Files): Promise<string> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
  return folder;
}

/** A picture of one colour. */
export function png(red: number, green: number, blue: number, width = 8, height = 8): Promise<Buffer> {
  const background = { r: red, g: green, b: blue };
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
}

/** Two classes, cat (reddish) and dog (bluish); the red value numbers the pictures. */
export async function smallSet(): Promise<Files> {
  return {
    'train/dog/1.png': await png(11, 0, 200),
    'train/cat/b.png': await png(2, 0, 100),
    'train/cat/a.png': await png(1, 0, 100),
    'test/dog/x.png': await png(21, 0, 200),
    'test/cat/y.png': await png(22, 0, 100),
  };
}

export async function tarOf(files: Files, prefix = ''): Promise<Buffer> {
  const archive = pack();
  for (const [name, bytes] of Object.entries(files)) archive.entry({ name: prefix + name }, Buffer.from(bytes));
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The error that `action` rejects with. */
export async function errorOf(action: Promise<unknown>): Promise<Error> {
  return action.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: Error) => error,
  );
}
