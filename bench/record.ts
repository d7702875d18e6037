import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commitOf } from '../lib/cli/commit.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Writes bench/results/<name>-<date>.json: machine, versions, commit, date, and the figures. */
export async function writeRecord(name: string, figures: object): Promise<string> {
  const date = new Date().toISOString();
  const machine = { processor: cpus()[0]?.model, cores: cpus().length, memoryBytes: totalmem(), load: loadavg()[0] };
  const record = { date, machine, node: process.version, commit: commitOf(root), ...figures };
  const folder = join(root, 'bench', 'results');
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}-${date.slice(0, 10)}.json`);
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
  return file;
}
