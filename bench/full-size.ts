// Claim: whole networks, at the size they are made for, agree with PyTorch in float64: logits, loss and the gradient of
// every parameter of a batch of four, the same weights on both sides. The reference back end in float64 shows that it is
// the same network; the device in float32 must give the same predictions. Its training step stands in the record beside
// PyTorch's own float32, without a bound: where rounding turns the sign of one activation, gradients differ by per cents
// on either side (bench/full-size-convolutions.ts compares its passes one by one).
// Usage: PYTHON=venv/bin/python npx tsx bench/full-size.ts [--model NAME ...] [--device cpu]
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { defaultPython } from '../lib/cli/contestant.ts';
import { createModel, modelDefaults, modelNames } from '../lib/models/index.ts';
import { Device } from '../lib/program.ts';
import { type Errors, errorsOf, type Golden } from '../test/goldens/network-errors.ts';
import { writeRecord } from './record.ts';

interface FullGolden extends Golden {
  readonly versions: Readonly<Record<string, string>>;
  /** Errors of PyTorch's float32. */
  readonly peer: { readonly loss: number; readonly gradients: { readonly median: number; readonly worst: number } };
}

const { values } = parseArgs({
  options: {
    model: { type: 'string', multiple: true, default: modelNames() },
    device: { type: 'string', default: 'cpu' },
  },
});
const script = fileURLToPath(new URL('../test/goldens/networks.py', import.meta.url));
// Batch statistics of few pictures make rounding grow, in deep networks without shortcuts from 1e-16 to 1e-6. A layer that
// is another one shows by more than 1e-3.
const bounds = { float64: 1e-5, float32Predictions: 1e-5 };

const reference = await Device.open('reference');
const device = await Device.open(values.device);
const results = [];
let file = '';
for (const name of values.model) {
  const truth = answersOfPyTorch(name);
  const { peerErrors, peer, shape, versions } = truth;
  const float64 = await errorsOf(reference, createModel(name, withoutDropout(name)), truth, 'float64');
  const float32 = await errorsOf(device, createModel(name, withoutDropout(name)), truth, 'float32');
  const holds = largest(float64) <= bounds.float64 && float32.evaluation <= bounds.float32Predictions;
  results.push({ name, shape, holds, float64, float32, peer: { outputs: peerErrors, ...peer } });
  process.stdout.write(`${name} ${shape.join('x')}: ${holds ? 'agrees' : 'IS OFF'}\n`);
  process.stdout.write(`  float64: ${figures(float64)}\n  float32: ${figures(float32)}\n`);
  const missing = values.model.slice(results.length);
  file = await writeRecord('full-size', { device: values.device, versions, bounds, missing, results });
}
await reference.close();
await device.close();
process.stdout.write(`record: ${file}\n`);
process.exitCode = results.every(({ holds }) => holds) ? 0 : 1;

function answersOfPyTorch(name: string): FullGolden {
  const args = [script, '--full', name, '--size', String(modelDefaults(name).imageSize)];
  return JSON.parse(execFileSync(defaultPython(), args, { encoding: 'utf8', maxBuffer: 2 ** 28 })) as FullGolden;
}

function withoutDropout(name: string) {
  return name.startsWith('inception') ? { dropout: 0 } : {};
}

function largest({ evaluation, outputs, loss, gradients }: Errors): number {
  return Math.max(evaluation, ...Object.values(outputs), loss, gradients.worst);
}

function figures({ evaluation, outputs, loss, gradients }: Errors): string {
  const { median, worst } = gradients;
  return Object.entries({ evaluation, ...outputs, loss, 'median gradient': median, 'worst gradient': worst })
    .map(([name, error]) => `${name} ${error.toExponential(1)}`)
    .join(', ');
}
