import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { type Finished, Running } from '../train/processes.ts';
import { tinyData } from '../train/tiny.ts';

export function startCli(...args: (string | number)[]): Running {
  return new Running('../../lib/cli/main.ts', args.map(String));
}

export async function cli(...args: (string | number)[]): Promise<Finished> {
  return startCli(...args).finished;
}

/** What a command that must succeed wrote to stdout under --json. */
export async function json<T>(...args: (string | number)[]): Promise<T> {
  const { code, stdout, stderr } = await cli(...args, '--json');
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** The tiny set as a folder of PNG files: train/<class>/<n>.png, test/<class>/<n>.png. */
export async function writePictures(folder: string): Promise<string> {
  const data = tinyData(24, 9);
  for (const [split, set] of [
    ['train', data.train],
    ['test', data.test],
  ] as const) {
    for (const name of set.classes) await mkdir(join(folder, split, name), { recursive: true });
    const { height, width, images } = set;
    const bytes = height * width * 3;
    for (const [i, label] of set.labels.entries()) {
      const file = join(folder, split, set.classes[label] as string, `${String(i).padStart(3, '0')}.png`);
      const raw = { width, height, channels: 3 } as const;
      await sharp(images.subarray(i * bytes, (i + 1) * bytes), { raw })
        .png()
        .toFile(file);
    }
  }
  return folder;
}
