import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TrainingError } from './errors.ts';
import { MetricsLog } from './metrics.ts';
import { exists, proveWritable } from './writable.ts';

const runFiles = ['last.safetensors', 'best.safetensors', 'metrics.jsonl', 'configuration.json'] as const;

/** The folder of one run: last.safetensors, best.safetensors, metrics.jsonl, configuration.json. */
export class RunFolder {
  readonly path: string;
  readonly last: string;
  readonly best: string;
  readonly metrics: MetricsLog;

  private constructor(path: string) {
    this.path = path;
    this.last = join(path, 'last.safetensors');
    this.best = join(path, 'best.safetensors');
    this.metrics = new MetricsLog(join(path, 'metrics.jsonl'));
  }

  /**
   * Proves that the folder can be written, before anything else is done.
   * A folder that holds a run is refused unless `overwrite` is set or the run is the resumed one.
   */
  static async open(path: string, options: { overwrite?: boolean; resume?: string | undefined }): Promise<RunFolder> {
    await proveWritable(path);
    const resumed = options.resume !== undefined && resolve(dirname(options.resume)) === resolve(path);
    const found = await existing(path);
    if (found.length > 0 && !resumed && !options.overwrite) {
      throw new TrainingError(
        'ERR_OUTPUT',
        `output folder ${path} already holds a run (${found.join(', ')}): continue it with ` +
          `--resume ${join(path, 'last.safetensors')}, replace it with --overwrite, or choose another --output`,
      );
    }
    return new RunFolder(path);
  }

  /** A new run: removes what an overwritten one left, and only that. */
  async begin(configuration: object): Promise<void> {
    await this.#clear();
    await this.#writeConfiguration(configuration);
  }

  /** A resumed run: keeps the metrics up to `epoch`; in another folder than before, brings them and the best along. */
  async continue(checkpoint: string, epoch: number, configuration: object): Promise<void> {
    const from = dirname(checkpoint);
    const lines = await new MetricsLog(join(from, 'metrics.jsonl')).read(epoch);
    if (resolve(from) !== resolve(this.path)) {
      await this.#clear();
      if (await exists(join(from, 'best.safetensors'))) await copyFile(join(from, 'best.safetensors'), this.best);
    }
    await this.metrics.replace(lines);
    await this.#writeConfiguration(configuration);
  }

  async #clear(): Promise<void> {
    await mkdir(this.path, { recursive: true });
    for (const file of runFiles) await rm(join(this.path, file), { force: true });
  }

  async #writeConfiguration(configuration: object): Promise<void> {
    await writeFile(join(this.path, 'configuration.json'), `${JSON.stringify(configuration, null, 2)}\n`);
  }
}

async function existing(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const file of runFiles.slice(0, 3)) if (await exists(join(path, file))) found.push(file);
  return found;
}
