// Every case of every op on a device against the reference, in float32 and bfloat16, over poisoned memory:
//   npx tsx test/cuda/device/ops.ts cuda:0 report.json
// One line for each failure; the report holds all; the exit status says whether all agree.
import { writeFileSync } from 'node:fs';
import type { HostArray } from '../../../lib/graph/index.ts';
import { Device } from '../../../lib/program.ts';
import { cases } from '../../ops/cases.ts';
import { type Dtype, drawNumbers, type Numbers, type OpCase } from '../../ops/operands.ts';
import { runCase } from '../../ops/run-case.ts';
import { Random } from '../../support/random.ts';

// Relative to the largest magnitude of an output: sums of up to a few thousand terms in another order.
const tolerances = { float32: 1e-5, bfloat16: 2e-2 } as const;
type Tested = keyof typeof tolerances;

interface Row {
  readonly title: string;
  readonly dtype: Dtype;
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

async function compare(devices: Devices, opCase: OpCase, dtype: Tested): Promise<string | undefined> {
  const random = new Random(opCase.title);
  const numbers = [0, 1].map(() => drawNumbers(opCase, random, false, dtype)) as [Numbers, Numbers];
  const truth = await runCase(devices.reference, opCase, 'float64', numbers, 'poisoned');
  const { outputs } = await runCase(devices.tested, opCase, dtype, numbers, 'poisoned');
  const allowed = Math.max(tolerances[dtype], opCase.tolerance);
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

async function row(devices: Devices, opCase: OpCase, dtype: Tested): Promise<Row> {
  const { title, nodes } = opCase;
  const lacking = nodes.find(({ op }) => !devices.tested.features.has(`op:${op}`))?.op;
  if (lacking) return { title, dtype, result: 'skipped', message: `the device lacks ${lacking}` };
  if (!devices.tested.features.has(`dtype:${dtype}`)) {
    return { title, dtype, result: 'skipped', message: `the device lacks ${dtype}` };
  }
  try {
    const message = await compare(devices, opCase, dtype);
    return message === undefined ? { title, dtype, result: 'agrees' } : { title, dtype, result: 'fails', message };
  } catch (error) {
    return { title, dtype, result: 'fails', message: (error as Error).message };
  }
}

const [name = 'cuda:0', report] = process.argv.slice(2);
const devices = { reference: await Device.open('reference'), tested: await Device.open(name) };
const rows: Row[] = [];
for (const opCase of cases) {
  for (const dtype of Object.keys(tolerances) as Tested[]) {
    const next = await row(devices, opCase, dtype);
    rows.push(next);
    if (next.result === 'fails') console.log(`FAILS ${dtype} ${next.title}: ${next.message}`);
  }
  if (report) writeFileSync(report, JSON.stringify({ device: name, complete: rows.length === 2 * cases.length, rows }));
}
const count = (result: Row['result']) => rows.filter((one) => one.result === result).length;
console.log(`${name}: ${count('agrees')} agree, ${count('fails')} fail, ${count('skipped')} skipped`);
process.exitCode = count('fails') === 0 && count('agrees') > 0 ? 0 : 1;
await Promise.all([devices.reference.close(), devices.tested.close()]);
