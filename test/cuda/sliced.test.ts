// As test/graph/sliced-runs.test.ts, on CUDA, where the pixels of a value inside another one lie apart. Engines that are
// chosen by their time may be others in each of two programs, so the device is one that repeats itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/program.ts';
import { compareWithCopies, modes, networks } from '../graph/fused/sliced.ts';
import { presence } from '../support/devices.ts';

const { available, reason } = await presence('cuda');

let cuda: Device | undefined;
beforeAll(async () => {
  if (available) cuda = await Device.open('cuda:0', { deterministic: true });
});
afterAll(async () => {
  await cuda?.close();
});

const [, ...narrow] = networks; // the first is too large for the simulation

describe.each(narrow.map((network) => [network.name, network] as const))('%s', (_, network) => {
  it.for(['float32', 'float16', 'bfloat16'] as const)('in %s', async (dtype, { skip }) => {
    if (!cuda) return skip(reason ?? 'there is no CUDA back end');
    for (const [mode, graphOf] of modes) {
      const { inPlace } = await compareWithCopies(cuda, () => graphOf(network, dtype));
      expect(inPlace, mode).toBeGreaterThanOrEqual(mode === 'training' ? 10 : 0); // cuDNN's convolutions copy
    }
  });
});
