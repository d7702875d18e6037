// Claim: whole networks, at the size they are made for, agree with PyTorch: logits, loss and the gradient of every
// parameter of a batch of four, the same weights on both sides, in float32 here and in float64 there. Where float32 itself
// is the limit, PyTorch's own float32 says how far off it may be.
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
// Those of networks.test.ts, where their reasons stand.
const tolerance = { logits: 1e-5, loss: 1e-5, gradients: { median: 0.02, worst: 0.05 } };
const peerFactor = 3;

const device = await Device.open(values.device);
const results = [];
let versions = {};
for (const name of values.model) {
  const truth = answersOfPyTorch(name);
  versions = truth.versions;
  const errors = await errorsOf(device, createModel(name, withoutDropout(name)), truth, 'float32');
  const { peerErrors, peer, shape } = truth;
  const holds = agrees(errors, truth);
  results.push({ name, shape, holds, errors, peer: { outputs: peerErrors, ...peer } });
  const { evaluation, outputs, gradients } = errors;
  const figures = [evaluation, outputs.logits, gradients.median, gradients.worst].map((x) => x?.toExponential(1));
  process.stdout.write(`${name} ${shape.join('x')}: ${holds ? 'agrees' : 'IS OFF'}, ${figures.join(' ')}\n`);
}
await device.close();
const holds = results.every((result) => result.holds);
const file = await writeRecord('full-size', { device: values.device, versions, tolerance, peerFactor, holds, results });
process.stdout.write(`record: ${file}\n`);
process.exitCode = holds ? 0 : 1;

function answersOfPyTorch(name: string): FullGolden {
  const args = [script, '--full', name, '--size', String(modelDefaults(name).imageSize)];
  return JSON.parse(execFileSync(defaultPython(), args, { encoding: 'utf8', maxBuffer: 2 ** 28 })) as FullGolden;
}

function withoutDropout(name: string) {
  return name.startsWith('inception') ? { dropout: 0 } : {};
}

function agrees({ evaluation, outputs, loss, gradients }: Errors, { peerErrors, peer }: FullGolden): boolean {
  const within = (error: number, most: number, peers: number) => error <= Math.max(most, peerFactor * peers);
  return (
    within(evaluation, tolerance.logits, peerErrors.logits as number) &&
    Object.entries(outputs).every(([head, error]) => within(error, tolerance.logits, peerErrors[head] as number)) &&
    within(loss, tolerance.loss, peer.loss) &&
    within(gradients.median, tolerance.gradients.median, peer.gradients.median) &&
    within(gradients.worst, tolerance.gradients.worst, peer.gradients.worst)
  );
}
