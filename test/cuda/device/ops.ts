// Every case of every op on a device against the reference, in all precisions of the device, over poisoned memory:
//   npx tsx test/cuda/device/ops.ts cuda:0 report.json [EVERY]
// Every EVERY-th case (default 1: all). One line for each failure; the report holds all; the exit status says whether
// all agree. A quarter of the cases is compared in all precisions, then the next: whoever is stopped has met them all.
import { writeFileSync } from 'node:fs';
import type { HostArray } from '../../../lib/graph/index.ts';
import { Device } from '../../../lib/program.ts';
import { cases } from '../../ops/cases.ts';
import { type Dtype, drawNumbers, type Numbers, type OpCase, usesF } from '../../ops/operands.ts';
import { runCase } from '../../ops/run-case.ts';
import { Random } from '../../support/random.ts';

interface Mode {
  readonly dtype: Dtype;
  /** Relative to the largest magnitude of an output: sums of up to a few thousand terms in another order. */
  readonly tolerance: number;
  readonly tf32?: boolean;
  readonly compiledEngines?: 'always';
  readonly includes: (opCase: OpCase) => boolean;
}

/** Of the libraries, which may round operands to tf32. */
const isProduct = ({ nodes }: OpCase) => nodes.some(({ op }) => /^(conv2d|linear)/.test(op));

/** Of kernels in whose place cuDNN has engines that are compiled at run time. */
const isCompiled = ({ nodes }: OpCase) => nodes.some(({ op }) => /^batch_norm(?!_(inference|summed))|_pool2d/.test(op));

// tf32 and float16 have 10 bits of mantissa, bfloat16 has 7.
const modes: Readonly<Record<string, Mode>> = {
  float32: { dtype: 'float32', tolerance: 1e-5, includes: () => true },
  tf32: { dtype: 'float32', tolerance: 1e-3, tf32: true, includes: isProduct },
  bfloat16: { dtype: 'bfloat16', tolerance: 2e-2, includes: usesF },
  float16: { dtype: 'float16', tolerance: 2e-3, includes: usesF },
  'float16, compiled': { dtype: 'float16', tolerance: 2e-3, compiledEngines: 'always', includes: isCompiled },
};

interface Row {
  readonly title: string;
  readonly mode: string;
  readonly result: 'agrees' | 'fails' | 'skipped';
  readonly message?: string;
}

function worstError(found: HostArray, truth: HostArray): number {
  const expected = Array.from(truth);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  return expected.reduce((worst, value, i) => {
    const given = found[i] as number;
    const same = given === value || (Number.isNaN(given) && Number.isNaN(value));
    const error = same ? 0 : Math.abs(given - value) / largest;
    return Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
  }, 0);
}

async function compare(devices: Devices, opCase: OpCase, { dtype, tolerance }: Mode): Promise<string | undefined> {
  const random = new Random(opCase.title);
  const numbers = [0, 1].map(() => drawNumbers(opCase, random, false, dtype)) as [Numbers, Numbers];
  const truth = await runCase(devices.reference, opCase, 'float64', numbers, 'poisoned');
  const { outputs } = await runCase(devices.tested, opCase, dtype, numbers, 'poisoned');
  const allowed = Math.max(tolerance, opCase.tolerance);
  for (const [name, expected] of truth.outputs) {
    const error = worstError(outputs.get(name) as HostArray, expected);
    if (error > allowed)
      return `${name} is off by ${error.toExponential(2)} of its largest magnitude, allowed ${allowed}`;
  }
  return undefined;
}

interface Devices {
  readonly reference: Device;
  readonly tested: Device;
}

async function row(devices: Devices, opCase: OpCase, mode: string): Promise<Row> {
  const { title, nodes } = opCase;
  const lacking = nodes.find(({ op }) => !devices.tested.features.has(`op:${op}`))?.op;
  if (lacking) return { title, mode, result: 'skipped', message: `the device lacks ${lacking}` };
  try {
    const message = await compare(devices, opCase, modes[mode] as Mode);
    return message === undefined ? { title, mode, result: 'agrees' } : { title, mode, result: 'fails', message };
  } catch (error) {
    return { title, mode, result: 'fails', message: (error as Error).message };
  }
}

const [name = 'cuda:0', report, every = '1'] = process.argv.slice(2);
const chosen = cases.filter((_, i) => i % Number(every) === 0);
const rows: Row[] = [];

/** Of one mode. */
async function open(mode: string): Promise<readonly [string, Devices]> {
  const { tf32 = false, compiledEngines = 'never' } = modes[mode] as Mode;
  // The libraries' first proposals: to time all of them for every case would take longer than there is.
  const tested = await Device.open(name, { tf32, compiledEngines, measureEngines: false });
  return [mode, { reference, tested }];
}

async function compareSome(mode: string, devices: Devices, some: readonly OpCase[]): Promise<void> {
  const { dtype, includes } = modes[mode] as Mode;
  for (const opCase of devices.tested.features.has(`dtype:${dtype}`) ? some.filter(includes) : []) {
    const next = await row(devices, opCase, mode);
    rows.push(next);
    if (next.result === 'fails') console.log(`FAILS ${mode} ${next.title}: ${next.message}`);
  }
  const count = (result: Row['result']) => rows.filter((one) => one.result === result && one.mode === mode).length;
  console.log(`${name}: ${mode}: ${count('agrees')} agree, ${count('fails')} fail, ${count('skipped')} skipped`);
  if (report) writeFileSync(report, JSON.stringify({ device: name, every: Number(every), rows }));
}

const parts = 4;
const reference = await Device.open('reference');
const opened: (readonly [string, Devices])[] = [];
for (const mode of Object.keys(modes)) opened.push(await open(mode));
for (let part = 0; part < parts; part += 1) {
  const some = chosen.filter((_, i) => i % parts === part);
  for (const [mode, devices] of opened) await compareSome(mode, devices, some);
}
for (const { tested } of opened.map(([, devices]) => devices)) await tested.close();
await reference.close();
if (rows.some(({ result }) => result === 'fails')) process.exitCode = 1;
if (!rows.some(({ result }) => result === 'agrees')) process.exitCode = 1;
