// Batch norm and pooling by what stands for cuDNN's plans, on the simulated device (`.ci/run simulate`): the results are
// those of the reference, and nodes whose channels do not come in eights keep the kernels of ours.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/program.ts';
import { normCases, poolingCases } from '../ops/cases.ts';
import { compareCase, titled } from '../ops/compare.ts';
import { type Dtype, drawNumbers, type Numbers, type OpCase } from '../ops/operands.ts';
import { runCase } from '../ops/run-case.ts';
import { presence } from '../support/devices.ts';
import { Random } from '../support/random.ts';

const { available } = await presence('cuda');
const cache = mkdtempSync(join(tmpdir(), 'node-cudnn-beside-'));
let reference: Device;
let cuda: Device | undefined;
beforeAll(async () => {
  reference = await Device.open('reference');
  if (!available) return;
  const device = await Device.open('cuda:0', { compiledEngines: 'always' });
  if (device.description.startsWith('simulated device')) cuda = device;
  else await device.close();
});
afterAll(async () => {
  rmSync(cache, { recursive: true });
  await reference.close();
  await cuda?.close();
});

const window = { kernel: [3, 2], stride: [2, 1], padding: [1, 0, 1, 1], dilation: [1, 1] } as const;
/** Batch norms by running statistics, and by the sums of a convolution, have kernels of ours only. */
const isTraining = ({ nodes: [node] }: OpCase) => /^batch_norm(_add)?(_relu)?(_grad)?$/.test(node?.op ?? '');
const casesOf = (channels: number) => [
  ...normCases([3, channels, 5, 7]).filter(isTraining),
  ...poolingCases({ x: [2, channels, 7, 5], ...window }),
  ...poolingCases({
    x: [2, channels, 8, 6],
    ...window,
    kernel: [2, 2],
    stride: [2, 2],
    padding: [0, 1, 0, 0],
    ceil: true,
  }),
];

async function implementationsOf(device: Device, opCase: OpCase, dtype: Dtype): Promise<readonly string[]> {
  const random = new Random(opCase.title);
  const numbers = [0, 1].map(() => drawNumbers(opCase, random, false, dtype)) as [Numbers, Numbers];
  return (await runCase(device, opCase, dtype, numbers, 'in place')).implementations;
}

const dtypes: readonly Dtype[] = ['float32', 'bfloat16', 'float16'];

describe.each(dtypes)('plans in the place of kernels of ours, %s', (dtype) => {
  it.for(titled(casesOf(16)))('%s', async ([, opCase], { skip }) => {
    if (!cuda) return skip('the device cuda is not the simulation');
    expect(new Set(await implementationsOf(cuda, opCase, dtype))).toEqual(new Set(['reference']));
    await compareCase({ device: cuda, reference }, opCase, dtype);
  });
});

it.for([
  ['12 channels', casesOf(12)],
  ['dilation', poolingCases({ x: [2, 8, 7, 9], ...window, dilation: [2, 2], padding: [0, 0, 0, 0] })],
  [
    'counted padding that ends before the last window',
    poolingCases({
      x: [1, 8, 6, 6],
      ...window,
      countIncludePad: true,
      kernel: [3, 3],
      stride: [2, 2],
      padding: [0, 0, 0, 0],
      ceil: true,
    }).slice(1),
  ],
] as const)('kernels of ours stay where cuDNN has nothing that means the same: %s', async ([, list], { skip }) => {
  if (!cuda) return skip('the device cuda is not the simulation');
  for (const opCase of list) expect(await implementationsOf(cuda, opCase, 'float16')).not.toContain('reference');
});

it('what was faster is kept for the next time', async ({ skip }) => {
  if (!cuda) return skip('the device cuda is not the simulation');
  const [opCase] = normCases([2, 8, 3, 3]) as [OpCase];
  const found: (readonly string[])[] = [];
  for (let time = 0; time < 2; ++time) {
    const device = await Device.open('cuda:0', { compiledEngines: 'timed', engineCache: cache });
    found.push(await implementationsOf(device, opCase, 'float32'));
    await device.close();
  }
  expect(found[1]).toEqual(found[0]);
  const lines = readdirSync(cache).flatMap((file) => readFileSync(join(cache, file), 'utf8').split('\n'));
  const kept = lines.filter((line) => line.startsWith('batch_norm forward float32 x 2,8,3,3\t'));
  expect(kept).toHaveLength(1);
  expect(kept[0]).toMatch(/\t(own kernel|reference|reference again)$/);
});

it.for([
  {},
  { compiledEngines: 'timed', measureEngines: false },
  { compiledEngines: 'always', deterministic: true },
] as const)('nothing is compiled unless it is asked for, and may be measured: %j', async (options, { skip }) => {
  if (!cuda) return skip('the device cuda is not the simulation');
  const device = await Device.open('cuda:0', options);
  const [opCase] = normCases([2, 8, 3, 3]) as [OpCase];
  expect(await implementationsOf(device, opCase, 'float32')).toEqual(['cuda']);
  await device.close();
});
