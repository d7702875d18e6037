import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { TrainingError } from '../train/index.ts';

/** The most that the process held before it built the model, and since: resident, or of a device's memory. */
export interface Footprint {
  readonly startBytes: number;
  readonly peakBytes: number;
}

/** A process that works on request and answers with numbers; see bench/peers/. */
export class Contestant {
  readonly name: string;
  readonly version: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(name: string, version: string, process: ChildProcess, lines: AsyncIterator<string>) {
    this.name = name;
    this.version = version;
    this.#process = process;
    this.#lines = lines;
  }

  /** Who is not ready after `patience` seconds is ended. */
  static async start(name: string, command: string, args: readonly string[], patience = Infinity): Promise<Contestant> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await Promise.race([once(child, 'spawn'), once(child, 'error').then(([error]) => Promise.reject(error))]);
    const lines = (createInterface({ input: child.stdout }) as Interface)[Symbol.asyncIterator]();
    let late = false;
    const end = () => {
      late = true;
      child.kill('SIGKILL');
    };
    const timer = Number.isFinite(patience) ? setTimeout(end, 1000 * patience) : undefined;
    try {
      const ready = JSON.parse(await nextLine(name, lines)) as { version?: string };
      return new Contestant(name, ready.version ?? '', child, lines);
    } catch (error) {
      if (late) throw new TrainingError('ERR_OPTION', `bench: ${name} was not ready after ${patience} s`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Milliseconds of each of `count` steps. */
  async ask(count: number): Promise<number[]> {
    return (await this.#request(String(count))) as number[];
  }

  async memory(): Promise<Footprint> {
    return (await this.#request('memory')) as Footprint;
  }

  async #request(line: string): Promise<unknown> {
    this.#process.stdin?.write(`${line}\n`);
    return JSON.parse(await nextLine(this.name, this.#lines));
  }

  /** Resolves when it has given back what it held. */
  async stop(): Promise<void> {
    this.#process.stdin?.end();
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit');
  }
}

async function nextLine(name: string, lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done) throw new TrainingError('ERR_OPTION', `bench: ${name} ended early; what it wrote stands above`);
  return value;
}

export function defaultPython(): string {
  const { PYTHON, VIRTUAL_ENV } = process.env;
  return PYTHON ?? (VIRTUAL_ENV === undefined ? 'python3' : join(VIRTUAL_ENV, 'bin', 'python'));
}
