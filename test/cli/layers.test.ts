import { expect, it } from 'vitest';
import { traceOf } from '../../lib/cli/bench-page.ts';
import { layersOf, layerTable, opShares } from '../../lib/cli/layers.ts';
import type { ProfileRow } from '../../lib/plan.ts';

const row = (op: string, path: string, microseconds: number): ProfileRow => ({
  ...{ op, path, shapes: '', dtype: 'float32', implementation: `kernel of ${op}`, bytes: 0, offset: 0 },
  ...{ workspaceBytes: 2048, trafficBytes: 1000, multiplyAdds: op.startsWith('conv2d') ? 5000 : 0 },
  seconds: microseconds / 1e6,
});
const profile = (factor: number) => [
  row('conv2d', 'conv1', 2 * factor),
  row('relu', 'conv1', 1),
  row('softmax_cross_entropy', '', 1),
  row('relu_grad', 'conv1', 1),
  row('conv2d_wgrad', 'conv1', 3 * factor),
  row('conv2d_dgrad', 'conv1', 4 * factor),
  row('sgd_update', '', 1),
];
const profiles = [1, 5, 2].map(profile);
const ceilings = { gflops: 10, gbPerSecond: 1 };

it('gives each pass of a layer the median of its time, and what bounds it', () => {
  const [conv1, ...others] = layersOf(profiles, ceilings);
  expect(conv1).toMatchObject({ name: 'conv1', dgrad: { microseconds: { median: 8, n: 3 }, bound: 'arithmetic' } });
  expect(conv1?.forward?.microseconds.median).toBeCloseTo(5, 9); // convolution and ReLU
  expect(conv1?.forward?.workspaceBytes).toBe(2048);
  expect(conv1?.wgrad?.gflops).toBeCloseTo((2 * 5000) / 6e-6 / 1e9, 9);
  expect(conv1?.wgrad?.ofCeiling).toBeCloseTo(1.667 / 10, 3);
  expect(conv1?.backward).toMatchObject({ bound: 'memory', implementations: ['kernel of relu_grad'] });
  expect(others.map(({ name }) => name)).toEqual(['softmax_cross_entropy', 'sgd_update']);
  expect(others[1]).toHaveProperty('update');
  expect(layerTable(layersOf(profiles, ceilings)).split('\n')).toHaveLength(1 + 4 + 2);
});

it('gives each op its share of all kernels', () => {
  const ops = opShares(profiles);
  expect(ops.slice(0, 3).map(({ op }) => op)).toEqual(['conv2d_dgrad', 'conv2d_wgrad', 'conv2d']);
  expect(ops[0]?.share).toBeCloseTo(8 / (8 + 6 + 4 + 4), 9);
  expect(ops.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
});

it('lays the nodes of a step one behind the other in a trace', () => {
  const { traceEvents } = traceOf(profile(1), 'a network') as {
    traceEvents: { ts: number; dur: number; name: string }[];
  };
  const [name, first, second] = traceEvents;
  expect(name).toMatchObject({ ph: 'M', args: { name: 'a network' } });
  expect(first).toMatchObject({ ph: 'X', name: 'conv2d conv1', args: { implementation: 'kernel of conv2d' } });
  expect(second?.ts).toBeCloseTo((first?.ts as number) + (first?.dur as number), 9);
});
