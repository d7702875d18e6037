// Flags and steps that several commands share.
import { type DataProgress, type DataSet, openDataSet } from '../data/index.ts';
import { Device } from '../program.ts';
import { UsageError } from './args.ts';
import type { Output } from './command.ts';

export const deviceOptions = {
  device: { type: 'text', value: 'NAME', description: 'cpu (default), reference, cuda:0 ...; see node-cudnn devices' },
  threads: { type: 'integer', min: 1, value: 'N', description: 'CPU threads (default: physical cores)' },
} as const;

export const ampOption = {
  'amp-dtype': {
    type: 'text',
    choices: ['float32', 'bfloat16'],
    value: 'DTYPE',
    description: 'precision of the layers: float32 (default) or bfloat16',
  },
} as const;

export const jsonOption = {
  json: { type: 'switch', description: 'write the answer as JSON to stdout, everything else to stderr' },
} as const;

export const helpOptions = {
  help: { type: 'switch', description: 'show this help' },
  debug: { type: 'switch', description: 'show where an error arose' },
} as const;

export function required<T>(flag: string, value: T | undefined): T {
  if (value === undefined) throw new UsageError(`${flag} is missing; --help shows how it is used`);
  return value;
}

export async function withDevice<T>(
  values: { readonly device?: string | undefined; readonly threads?: number | undefined },
  use: (device: Device) => Promise<T>,
): Promise<T> {
  const device = await Device.open(
    values.device ?? 'cpu',
    values.threads === undefined ? {} : { threads: values.threads },
  );
  try {
    return await use(device);
  } finally {
    await device.close();
  }
}

export interface DataChoice {
  readonly data: string;
  readonly imageSize?: number | undefined;
  readonly skipDamaged?: boolean | undefined;
}

export async function loadData({ data, imageSize, skipDamaged }: DataChoice, output: Output): Promise<DataSet> {
  const show = dataProgress(output);
  const set = await openDataSet(data, {
    ...(imageSize !== undefined && { size: [imageSize, imageSize] as const }),
    ...(skipDamaged && { skipDamaged }),
    onProgress: show.update,
  });
  show.end();
  return set;
}

/** One line in place on a terminal; elsewhere one line per phase. */
function dataProgress({ log }: Output): { update(progress: DataProgress): void; end(): void } {
  let phase = '';
  let shown = 0;
  return {
    update({ phase: now, done, total }) {
      if (!log.isTTY) {
        if (now !== phase) log.write(`data: ${now}\n`);
        phase = now;
      } else if (performance.now() - shown > 100) {
        shown = performance.now();
        phase = now;
        log.write(`\r\x1b[Kdata: ${now} ${done}${total === undefined ? '' : ` of ${total}`}`);
      }
    },
    end() {
      if (log.isTTY && phase !== '') log.write('\r\x1b[K');
    },
  };
}

export function describeSet({ name, train, test, classes }: DataSet): string {
  const size = `${train.width}x${train.height}x${train.channels}`;
  return `${name}: ${train.count} training and ${test.count} test pictures of ${size}, ${classes.length} classes`;
}
