// What the simulated device was asked for, in the order of the calls.
import { renameSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { Device } from '../../lib/program.ts';
import { presence } from '../support/devices.ts';

/** What was enqueued or allocated; of streams, events and memory the addresses, the stream last. See sim/control.h. */
export interface Line {
  readonly what: string;
  readonly bytes: number;
  readonly about: readonly string[];
}

/** For the tests of a file: whether 'cuda' is the simulated device, and its log. */
export class SimulatedDevice {
  isThere = false;
  #folder = '';

  constructor() {
    beforeAll(async () => {
      this.#folder = await mkdtemp(join(tmpdir(), 'node-cudnn-log-'));
      if (!(await presence('cuda')).available) return;
      const device = await Device.open('cuda');
      this.isThere = device.description.startsWith('simulated device');
      await device.close();
    });
    afterAll(async () => {
      process.env.NODE_CUDNN_SIMULATION_LOG = '';
      process.env.NODE_CUDNN_SIMULATION_HOLD = '';
      await rm(this.#folder, { recursive: true });
    });
  }

  hold(name: string): Hold {
    return new Hold(join(this.#folder, `${name}.hold`));
  }

  /** The lines of its life from now on. */
  logged(name: string): () => Promise<Line[]> {
    const file = join(this.#folder, name);
    process.env.NODE_CUDNN_SIMULATION_LOG = file;
    return async () => {
      const lines = (await readFile(file, 'utf8')).trim().split('\n');
      return lines.map((line) => {
        const [what = '', bytes, ...about] = line.split(' ');
        return { what, bytes: Number(bytes), about };
      });
    };
  }
}

/**
 * While more steps are to come, the device ends none before another one is there than those it has begun: so whoever asks
 * for steps is never too slow.
 */
export class Hold {
  readonly #file: string;
  #asked = 0;

  constructor(file: string) {
    this.#file = file;
    this.over();
    process.env.NODE_CUDNN_SIMULATION_HOLD = file;
  }

  more(): void {
    this.#allow(this.#asked);
  }

  /** A step is asked for. */
  asked(isLast: boolean): void {
    this.#asked += 1;
    if (isLast) this.over();
    else this.more();
  }

  over(): void {
    this.#allow(2 ** 31);
  }

  #allow(steps: number): void {
    writeFileSync(`${this.#file}.new`, String(steps));
    renameSync(`${this.#file}.new`, this.#file); // never seen half written
  }
}

/** Places in the log. */
export interface LoggedStep {
  /** Its images are on the way. */
  readonly begins: number;
  /** Somebody waits for its end, beginning here. */
  readonly awaited: number;
}

const faultBytes = 12; // Fault of native/backend/cuda/cuda.h, which is copied at the end of a step

/** The steps that were enqueued one by one, each with images of so many bytes. */
export function stepsIn(lines: readonly Line[], imageBytes: number): LoggedStep[] {
  const next = (from: number, holds: (line: Line) => boolean) => {
    const at = lines.findIndex((line, i) => i > from && holds(line));
    if (at < 0) throw new Error(`the log ends with a step that began in line ${from}`);
    return at;
  };
  return lines.flatMap(({ what, bytes }, begins) => {
    if (what !== 'to_device' || bytes !== imageBytes) return [];
    const reported = next(begins, (line) => line.what === 'to_host' && line.bytes === faultBytes);
    const recorded = next(reported, (line) => line.what === 'record');
    const event = lines[recorded]?.about[0];
    const awaited = next(recorded, (line) => line.what === 'synchronise_event' && line.about[0] === event);
    return [{ begins, awaited }];
  });
}
