// Every kernel of the CPU back end against the reference in float64: integers exactly, random numbers within the case's
// tolerance, in float32 and bfloat16, on memory that held NaN.
import { describe, expect, it } from 'vitest';
import { openDevices } from '../support/devices.ts';
import { cases } from './cases.ts';
import { compareCase, titled } from './compare.ts';
import { convolutionCases } from './conv-cases.ts';
import { usesF } from './operands.ts';

const devices = openDevices();

it('has cases for every op that the devices offer', () => {
  const tested = new Set(cases.flatMap(({ nodes }) => nodes.map(({ op }) => `op:${op}`)));
  const offered = [...devices.reference.features, ...devices.cpu.features].filter((feature) =>
    feature.startsWith('op:'),
  );
  expect(offered.filter((op) => !tested.has(op))).toEqual([]);
});

/** What serves CUDA alone; see table.test.ts. */
const notOnCpu = new Set([
  ...['unscale', 'update_loss_scale', 'snapshot', 'restore', 'conv2d_statistics'],
  ...['batch_norm_summed', 'batch_norm_summed_relu', 'batch_norm_summed_add_relu'],
  ...['batch_norm_add_relu_mask', 'batch_norm_add_relu_mask_grad', 'batch_norm_summed_add_relu_mask'],
  ...['conv2d_dgrad_statistics', 'batch_norm_summed_grad'],
  ...['batch_norm_finish', 'scaled_conv2d_statistics', 'scaled_add_conv2d_statistics', 'scaled_conv2d_wgrad'],
]);
const ofCpu = cases.filter(({ nodes }) => !nodes.some(({ op }) => notOnCpu.has(op)));

describe('cpu against reference, float32', () => {
  it.each(titled(ofCpu))('%s', (_, opCase) =>
    compareCase({ device: devices.cpu, reference: devices.reference }, opCase, 'float32'),
  );
});

// More than 4 MiB of transformed gradient and more than 64 tiles: Winograd sums it in stages. Odd numbers of tiles and
// of blocks of outputs.
const staged = convolutionCases({ x: [5, 1024, 15, 13], o: 40, kernel: [3, 3], padding: [1, 1, 1, 1] }).filter(
  ({ nodes }) => nodes[0]?.op === 'conv2d_wgrad',
);

describe.each(['float32', 'bfloat16'] as const)('a filter whose gradient outgrows a cache, %s', (dtype) => {
  it.for(titled(staged))('%s', { timeout: 60_000 }, async ([, opCase], { skip }) => {
    if (!devices.cpu.features.has(`dtype:${dtype}`)) skip('this processor has no bfloat16 instructions');
    await compareCase({ device: devices.cpu, reference: devices.reference }, opCase, dtype);
  });
});

describe('cpu against reference, bfloat16', () => {
  it.for(titled(ofCpu.filter(usesF)))('%s', async ([, opCase], { skip }) => {
    if (!devices.cpu.features.has('dtype:bfloat16')) skip('this processor has no bfloat16 instructions');
    await compareCase({ device: devices.cpu, reference: devices.reference }, opCase, 'bfloat16');
  });
});
