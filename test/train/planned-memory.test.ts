// One small network of bench/memory.ts, which is the long form. What the process holds is looked at there alone: here the
// code of kernels is too much of a network as small as this one.
import { expect, it } from 'vitest';
import { compared, measureMemory } from '../../bench/memory-run.ts';
import { testDevice } from './tiny.ts';

it('takes what it was planned to, within 2 %', async () => {
  const network = { model: 'cifar-resnet20', device: testDevice() };
  const two = await measureMemory({ ...network, batchSize: 2 });
  const six = await measureMemory({ ...network, batchSize: 6 });
  for (const result of [two, six]) expect(Math.abs(compared(result).held)).toBeLessThanOrEqual(0.02);
  expect(six.plannedBytes).toBeGreaterThan(2 * two.plannedBytes);
}, 120_000);
