// Values that lie inside others: whole networks leave the same bits as where every concat copies.
import { describe, expect, it } from 'vitest';
import { openDevices } from '../support/devices.ts';
import { compareWithCopies, modes, networks } from './fused/sliced.ts';

const devices = openDevices();

describe.each(networks.map((network) => [network.name, network] as const))('%s', (_, network) => {
  it.each(modes)('in %s', async (mode, graphOf) => {
    const { inPlace } = await compareWithCopies(devices.cpu, () => graphOf(network, 'float32'));
    expect(inPlace).toBeGreaterThanOrEqual(network.least[mode]);
  });

  it.for(modes)('in %s with bfloat16', async ([mode, graphOf], { skip }) => {
    if (!devices.cpu.features.has('dtype:bfloat16')) return skip('this processor has no bfloat16 instructions');
    const { inPlace } = await compareWithCopies(devices.cpu, () => graphOf(network, 'bfloat16'));
    expect(inPlace).toBeGreaterThanOrEqual(network.least[mode]);
  });
});
