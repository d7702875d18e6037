// Fused graphs compute what the unfused ones compute: whole networks, on the reference in float64 and on the CPU.
import { describe, expect, it } from 'vitest';
import { fusions } from '../../lib/graph/index.ts';
import { openDevices } from '../support/devices.ts';
import {
  countOf,
  difference,
  forwardValues,
  gradientErrors,
  inferenceOf,
  networks,
  run,
  type Spread,
  stepOf,
  summing,
} from './fused/narrow.ts';

const devices = openDevices();

const withoutSums = fusions().filter((name) => !name.startsWith('batch_norm_summed'));
const isFused = (op: string) => /^(fold|conv2d_relu|conv2d_add_relu)|_relu(_grad)?$/.test(op) && op !== 'relu';

describe.each(networks.map((network) => [network.name, network] as const))('%s', (_, network) => {
  // Rounding of float64, 1e-16, through fifty layers and, in training, the small variances of two pictures.
  it.each([
    ['inference', () => inferenceOf(network, 'float64'), 1e-12],
    ['training', () => stepOf(network, 'float64'), 1e-9],
  ] as const)('in %s, on the reference in float64', async (_mode, graph, tolerance) => {
    const [fused, plain] = [await run(devices.reference, graph(), true), await run(devices.reference, graph(), false)];
    expect(fused.ops.filter(isFused).length).toBeGreaterThan(15);
    expect(plain.ops.filter(isFused)).toEqual([]);
    expect(fused.ops.length).toBeLessThan(plain.ops.length);
    expect(difference(fused, plain)).toBeLessThan(tolerance);
  });

  it.for(['float32', 'bfloat16'] as const)('in inference, on the CPU in %s', async (dtype, { skip }) => {
    if (!devices.cpu.features.has('dtype:bfloat16') && dtype === 'bfloat16')
      skip('this processor has no bfloat16 instructions');
    const [fused, plain] = [inferenceOf(network, dtype), inferenceOf(network, dtype)];
    const [found, expected] = [await run(devices.cpu, fused, true), await run(devices.cpu, plain, false)];
    expect(found.ops.filter(isFused).length).toBeGreaterThan(15);
    expect(difference(found, expected)).toBeLessThan(dtype === 'float32' ? 1e-4 : 0.1);
  });
});

// Single gradients of two pictures differ by per cents, by the sign of some activation near zero: they are as far from those
// of float64 as without sums.
it.each(summing.map((row) => [row.network.name, row.dtype, row] as const))(
  '%s in training with %s by the sums of its convolutions',
  async (_, dtype, { network, tolerance, median, sums, counts }) => {
    const found = await run(devices.reference, stepOf(network, dtype), true);
    const expected = await run(devices.reference, stepOf(network, dtype), withoutSums);
    expect(found.ops.filter((op) => /^batch_norm_(finish|summed(_add)?(_relu)?(_mask)?)$/.test(op))).toHaveLength(sums);
    expect(countOf(found, counts)).toEqual(counts);
    expect(expected.ops.filter((op) => op.startsWith('batch_norm_summed'))).toEqual([]);
    expect(difference(found, expected, forwardValues)).toBeLessThan(tolerance);
    const truth = await run(devices.reference, stepOf(network, 'float64'), false);
    const [ours, theirs] = [found, expected].map((outcome) => gradientErrors(outcome, truth)) as [Spread, Spread];
    expect(theirs.median).toBeLessThan(median);
    expect(ours.median).toBeLessThan(1.5 * theirs.median);
    expect(ours.worst).toBeLessThan(1.5 * theirs.worst);
  },
);
