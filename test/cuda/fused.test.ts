// Networks with fused and folded convolutions on the simulated device (`.ci/run simulate`), beside the same device without
// fusion: by what stands for cuDNN's fused engines, and in the parts that are taken where cuDNN has none.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fusions } from '../../lib/graph/index.ts';
import { Device } from '../../lib/program.ts';
import {
  countOf,
  difference,
  forwardValues,
  inferenceOf,
  networks,
  type Outcome,
  run,
  stepOf,
  summing,
} from '../graph/fused/narrow.ts';
import { presence } from '../support/devices.ts';

const { available } = await presence('cuda');
let simulated = false;
beforeAll(async () => {
  if (!available) return;
  const device = await Device.open('cuda:0');
  simulated = device.description.startsWith('simulated device');
  await device.close();
});
afterAll(() => {
  process.env.NODE_CUDNN_SIMULATION = '';
});

type Arguments = Parameters<typeof run>;

async function runWith(settings: string, graph: Arguments[1], fuse: Arguments[2], more = {}): Promise<Outcome> {
  process.env.NODE_CUDNN_SIMULATION = settings;
  const device = await Device.open('cuda:0', { measureEngines: false, ...more });
  try {
    return await run(device, graph, fuse);
  } finally {
    await device.close();
  }
}

// Of the largest logit. A half type keeps 8 or 11 bits of every activation and weight, fifty layers long.
const tolerances = { float32: 1e-4, float16: 2e-2, bfloat16: 1e-1 } as const;
const dtypes = Object.keys(tolerances) as (keyof typeof tolerances)[];
const chosen = networks.filter(({ name }) => name === 'ResNet-50' || name === 'ResNet-50-v2');

describe.each(chosen.map((network) => [network.name, network] as const))('%s', (_, network) => {
  it.for(dtypes)('computes the same fused, in parts and unfused, in %s', async (dtype, { skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const plain = await runWith('', inferenceOf(network, dtype), false);
    const fused = await runWith('', inferenceOf(network, dtype), true);
    const apart = await runWith('fuse=0', inferenceOf(network, dtype), true);
    // For two small pictures float32 folds only into the convolutions whose maps are larger than their weights.
    const least = dtype === 'float32' ? 5 : 30;
    expect(fused.ops.filter((op) => op.startsWith('conv2d_')).length).toBeGreaterThan(least);
    expect(apart.ops).toEqual(fused.ops);
    const partial = (outcome: Outcome) =>
      outcome.implementations.filter((name) => name.endsWith(', relu apart')).length;
    expect([partial(fused), partial(apart)]).toEqual([0, fused.ops.filter((op) => op.startsWith('conv2d_')).length]);
    expect(difference(fused, plain)).toBeLessThan(tolerances[dtype]);
    expect(difference(apart, plain)).toBeLessThan(tolerances[dtype]);
  });
});

// What sums up in bfloat16 adds with atomics, which no deterministic device takes; no engine has a prologue of its gradient.
it.for(summing.map((row) => [row.network.name, row.dtype, row] as const))(
  '%s trains the same with the sums of its convolutions, %s',
  async ([, dtype, row], { skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const { network, tolerance, sums, counts } = row;
    const withoutSums = fusions().filter((name) => !name.startsWith('batch_norm_summed'));
    const plain = await runWith('', stepOf(network, dtype), withoutSums);
    for (const [settings, deterministic] of [
      ['', false],
      ['', true],
      ['fuse=0', false],
    ] as const) {
      const found = await runWith(settings, stepOf(network, dtype), true, { deterministic });
      const apart = found.implementations.filter((name) => /, (sums|prologue) apart$/.test(name));
      const fused = Object.values(counts).reduce((sum, count) => sum + count);
      const isCompiled = dtype === 'bfloat16';
      const least = isCompiled ? counts.scaled_conv2d_wgrad : 0;
      expect(apart).toHaveLength(settings || (deterministic && isCompiled) ? fused : least);
      expect(found.ops.filter((op) => /^batch_norm_(finish|summed(_add)?(_relu)?(_mask)?)$/.test(op))).toHaveLength(
        sums,
      );
      expect(countOf(found, counts)).toEqual(counts);
      expect(difference(found, plain, forwardValues)).toBeLessThan(tolerance);
    }
  },
);
