// Convolutions of few channels on the simulated device (`.ci/run simulate`) where what stands for cuDNN has nothing for
// them: padded to the channels of tensor cores, forward and filter gradient, fused ones in their parts too.
import { afterAll, beforeAll, describe, it } from 'vitest';
import { Device } from '../../lib/program.ts';
import { cases } from '../ops/cases.ts';
import { compareCase, titled } from '../ops/compare.ts';
import type { Dtype, OpCase } from '../ops/operands.ts';
import { presence } from '../support/devices.ts';
import { rounds } from './rounds.ts';

const { available } = await presence('cuda');
let reference: Device;
let cuda: Device | undefined;

beforeAll(async () => {
  reference = await Device.open('reference');
  if (!available) return;
  process.env.NODE_CUDNN_SIMULATION = 'few=0';
  const device = await Device.open('cuda:0', { measureEngines: false });
  if (device.description.startsWith('simulated device')) cuda = device;
  else await device.close();
});
afterAll(async () => {
  process.env.NODE_CUDNN_SIMULATION = '';
  await reference.close();
  await cuda?.close();
});

const ops = ['conv2d', 'conv2d_relu', 'conv2d_add_relu', 'conv2d_statistics', 'conv2d_wgrad'];

function takesFew({ nodes: [node], inputs }: OpCase): boolean {
  const channels = inputs.x?.shape[1] ?? 0;
  return ops.includes(node?.op ?? '') && node?.attributes?.groups === 1 && channels < 4;
}

const dtypes: readonly Dtype[] = ['float32', 'bfloat16', 'float16'];

describe.each(dtypes)('few channels are padded, %s', (dtype) => {
  it.for(titled(cases.filter(takesFew)))('%s', ([, opCase], { skip }) => {
    if (!cuda) return skip('the device cuda is not the simulation');
    return compareCase({ device: cuda, reference, rounds }, opCase, dtype);
  });
});
