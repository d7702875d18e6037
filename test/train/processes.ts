import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCheckpoint } from '../../lib/train/checkpoint.ts';
import type { ChildOptions } from './child.ts';

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A Node.js process that runs a TypeScript file of this repository. */
export class Running {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
  #stdout = '';
  #stderr = '';

  constructor(file: string, args: readonly string[], shell?: string) {
    const script = fileURLToPath(new URL(file, import.meta.url));
    const command = [process.execPath, '--import', 'tsx', script, ...args];
    const wrapped = shell === undefined ? command : ['/bin/sh', '-c', `${shell}; exec "$@"`, 'sh', ...command];
    this.process = spawn(wrapped[0] as string, wrapped.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stdout?.on('data', (data) => {
      this.#stdout += data;
    });
    this.process.stderr?.on('data', (data) => {
      this.#stderr += data;
    });
    this.finished = once(this.process, 'close').then(([code, signal]) => {
      return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  /** Resolves when the process has written `text` to stdout, or has ended. */
  async wrote(text: string): Promise<void> {
    while (!this.#stdout.includes(text) && this.process.exitCode === null && this.process.signalCode === null) {
      await Promise.race([once(this.process.stdout as NodeJS.ReadableStream, 'data'), this.finished]);
    }
  }
}

export function startChild(options: ChildOptions, shell?: string): Running {
  return new Running('child.ts', [JSON.stringify(options)], shell);
}

export async function runChild(options: ChildOptions, shell?: string): Promise<Finished> {
  return startChild(options, shell).finished;
}

/** One hash over names, shapes and bytes of every variable in a checkpoint. */
export async function weightsHash(file: string): Promise<string> {
  const { variables } = await readCheckpoint(file);
  const hash = createHash('sha256');
  for (const [name, { shape, data }] of [...variables].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name} ${shape} `).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'node-cudnn-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
