// Fused groups beside what stands there without them, on the simulated device (`.ci/run simulate`), whose clock is told what
// everything takes: the slower side is left, the answer is kept, and whoever finds it asks no more.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fusions, Graph } from '../../lib/graph/index.ts';
import { BatchNorm2d, Conv2d, GlobalAvgPool, Linear, ReLU, Sequential } from '../../lib/nn/index.ts';
import { relu } from '../../lib/ops/index.ts';
import { compile, Device, type DeviceOptions, variablesOf } from '../../lib/program.ts';
import { countOf, difference, forwardValues, type Outcome, run, stepOf } from '../graph/fused/narrow.ts';
import { presence } from '../support/devices.ts';

const { available } = await presence('cuda');
let simulated = false;
let folder: string;
beforeAll(async () => {
  if (!available) return;
  const device = await Device.open('cuda:0');
  simulated = device.description.startsWith('simulated device');
  await device.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-cudnn-groups-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
afterAll(() => {
  process.env.NODE_CUDNN_SIMULATION = '';
  process.env.NODE_CUDNN_SIMULATION_LOG = '';
});

/** Three convolutions, each normalised and rectified; the second and third sum up, and read eight channels. */
function model(): Sequential {
  const layer = (channels: number) => [
    new Conv2d(channels, 8, 3, { padding: 1, bias: false }),
    new BatchNorm2d(8),
    new ReLU(),
  ];
  return new Sequential(...layer(3), ...layer(8), ...layer(8), new GlobalAvgPool(), new Linear(8, 5));
}

interface Ran extends Outcome {
  /** What became of each kind of group, as the cache has it, by question. */
  readonly kept: readonly (readonly [question: string, answer: string])[];
  /** Of ours, that were launched or captured from opening to closing. */
  readonly kernels: number;
}

async function train(
  settings: string,
  options: DeviceOptions = {},
  fuse: boolean | string[] = true,
  dtype: 'float16' | 'bfloat16' = 'float16',
): Promise<Ran> {
  const log = join(folder, 'log');
  writeFileSync(log, '');
  process.env.NODE_CUDNN_SIMULATION = settings;
  process.env.NODE_CUDNN_SIMULATION_LOG = log;
  const device = await Device.open('cuda:0', { engineCache: join(folder, 'cache'), ...options });
  try {
    const outcome = await run(device, stepOf({ name: 'three layers', side: 6, model }, dtype), fuse);
    const kernels = readFileSync(log, 'utf8').match(/^kernel /gm)?.length ?? 0;
    return { ...outcome, kept: keptGroups(), kernels };
  } finally {
    await device.close();
  }
}

function cacheFile(): string {
  const [file = '', ...others] = readdirSync(join(folder, 'cache'));
  expect(others).toEqual([]);
  return join(folder, 'cache', file);
}

function keptGroups(): Ran['kept'] {
  const lines = readFileSync(cacheFile(), 'utf8').trimEnd().split('\n');
  return lines.filter((line) => line.startsWith('group ')).map((line) => line.split('\t') as [string, string]);
}

/** The ops whose groups were asked about, by answer. */
function answers({ kept }: Ran): Record<string, string[]> {
  const ops = (answer: string) =>
    kept.filter(([, given]) => given === answer).map(([question]) => question.split(/[ :]/)[1]);
  return {
    fused: [...new Set(ops('fused'))].sort() as string[],
    unfused: [...new Set(ops('unfused'))].sort() as string[],
  };
}

const without = (pattern: RegExp) => fusions().filter((name) => !pattern.test(name));

// A convolution takes as long as ten kernels of ours, fused or not. batch_norm is three of them, by given sums two.
const even = 'kernel=10,plan=100';

describe('groups on a device that measures', () => {
  it('are formed where they are faster', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const found = await train(even);
    expect(answers(found)).toEqual({
      fused: [
        ...['batch_norm_relu', 'batch_norm_relu_grad', 'batch_norm_summed', 'batch_norm_summed_grad'],
        ...['batch_norm_summed_relu', 'scaled_conv2d_statistics'],
      ],
      unfused: [],
    });
    const unmeasured = await train(even, { measureEngines: false });
    expect(found.ops).toEqual(unmeasured.ops);
    expect(found.values).toEqual(unmeasured.values);
  });

  // 115 + 2 · 10 for the convolution that sums up, whose parts take 100 + 2 · 10, against 100 + 3 · 10.
  it('are left where the unfused graph is faster, although the fused plan beats its parts', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const found = await train(`${even},conv2d_statistics=115`);
    const lines = readFileSync(cacheFile(), 'utf8').split('\n');
    expect(lines.filter((line) => / statistics\treference( again)?$/.test(line))).not.toEqual([]);
    expect(answers(found).unfused).toEqual(['batch_norm_summed']);
    expect(found.ops.filter((op) => /^conv2d_statistics|summed_relu|^scaled|finish/.test(op))).toEqual([]);
    expect(found.ops.filter((op) => op === 'conv2d_dgrad_statistics')).toHaveLength(2);
    const asked = await train(even, {}, without(/^batch_norm_summed(_relu)?$/));
    expect(found.ops).toEqual(asked.ops);
    expect(found.values).toEqual(asked.values);
    // As in fused.test.ts.
    expect(difference(found, await train(even, {}, false), forwardValues)).toBeLessThan(3e-3);
  });

  // 10 + 108 + 109 against 2 · 10 + 100 + 100, where the parts of each convolution take 110.
  it('may lose where those that they stand on have won', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const found = await train(`${even},scaled_conv2d_statistics=108,scaled_conv2d_wgrad=109`);
    expect(answers(found).unfused).toEqual(['scaled_conv2d_statistics']);
    const asked = await train(even, {}, without(/^scaled/));
    expect(found.ops).toEqual(asked.ops);
    expect(found.ops).toContain('conv2d_statistics');
    expect(found.values).toEqual(asked.values);
  });

  // 10 + 99 or 101 + (10 + 100) against 2 · 10 + 100 + 100: in bfloat16 no engine has the prologue of a weight's gradient.
  it.for([
    [99, 'fused'],
    [101, 'unfused'],
  ] as const)(
    'pay for a pass on the way back in bfloat16, by a convolution of %i',
    async ([time, answer], { skip }) => {
      if (!simulated) return skip('the device cuda is not the simulation');
      const found = await train(`${even},scaled_conv2d_statistics=${time}`, {}, true, 'bfloat16');
      expect(answers(found)[answer]).toContain('scaled_conv2d_statistics');
      expect(countOf(found, { scaled_conv2d_statistics: 0, scaled_conv2d_wgrad: 0 })).toEqual(
        answer === 'fused'
          ? { scaled_conv2d_statistics: 1, scaled_conv2d_wgrad: 1 }
          : { scaled_conv2d_statistics: 0, scaled_conv2d_wgrad: 0 },
      );
    },
  );

  it('are all formed where nothing may be measured', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    for (const options of [{ measureEngines: false }, { deterministic: true }]) {
      const found = await train(`${even},conv2d_statistics=115`, options);
      expect(found.ops).toContain('conv2d_statistics');
      expect(found.kept).toEqual([]);
      rmSync(join(folder, 'cache'), { recursive: true });
    }
  });
});

it('makes an error of every call that fails while it measures, or forms the group where memory ran out', async ({
  skip,
}) => {
  if (!simulated) return skip('the device cuda is not the simulation');
  const graph = new Graph({ training: true });
  const norm = new BatchNorm2d(4);
  graph.name(relu(norm.call(graph.input('x', { shape: [2, 4, 3, 3], format: 'activation' }))), 'y');
  let [errors, formed] = [0, 0];
  for (let call = 1; call <= 1000; ++call) {
    process.env.NODE_CUDNN_SIMULATION = `fail=${call}`;
    rmSync(join(folder, 'cache'), { recursive: true, force: true });
    const compiled = compileAlone(graph).then(
      (ops) => ({ ops, code: undefined }),
      ({ code }: { code?: string }) => ({ ops: [], code }),
    );
    const { ops, code } = await compiled;
    if (code === undefined && keptGroups().length > 0) break;
    if (code === undefined) expect(ops).toEqual(['batch_norm_relu']);
    else expect(code).toMatch(/^ERR_(DEVICE|OUT_OF_MEMORY|DEVICE_LOST)$/);
    if (code === undefined) formed += 1;
    else errors += 1;
  }
  expect(errors).toBeGreaterThan(50);
  expect(formed).toBeGreaterThan(2);
});

/** Compiled, and closed again; that nothing of it is left, the simulation sees to. */
async function compileAlone(graph: Graph): Promise<string[]> {
  const device = await Device.open('cuda:0', { engineCache: join(folder, 'cache') });
  try {
    const state = await device.createState(variablesOf(graph));
    const program = await compile(graph, { device, state, keep: ['y'] });
    return program.plan.rows.map(({ op }) => op);
  } finally {
    await device.close();
  }
}

describe('answers', () => {
  it('are kept, and a second device runs nothing to find them', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const first = await train(`${even},conv2d_statistics=115`);
    const file = readFileSync(cacheFile(), 'utf8');
    const second = await train(even); // where measuring would say the opposite
    expect(readFileSync(cacheFile(), 'utf8')).toBe(file);
    expect(second.ops).toEqual(first.ops);
    const stepAlone = await train(even, { measureEngines: false }, without(/^batch_norm_summed(_relu)?$/));
    expect(second.kernels).toBe(stepAlone.kernels);
    expect(first.kernels).toBeGreaterThan(3 * second.kernels);
  });

  it('of another device, driver or version are not believed', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const first = await train(even);
    const text = readFileSync(cacheFile(), 'utf8');
    const flipped = text.replace(/^(group .*)\tfused$/gm, '$1\tunfused');
    writeFileSync(cacheFile(), flipped);
    expect((await train(even)).ops).not.toEqual(first.ops);
    for (const part of [/simulated device/, /driver \d+/, /the reference in the place of/]) {
      expect(flipped.split('\n')[0]).toMatch(part);
      writeFileSync(cacheFile(), flipped.replace(part, 'another'));
      expect((await train(even)).ops).toEqual(first.ops);
      expect(readFileSync(cacheFile(), 'utf8').split('\n').sort()).toEqual(text.split('\n').sort());
    }
  });

  it('hold for the way in which engines are chosen', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const first = await train(even);
    const compiled = await train(even, { compiledEngines: 'timed' });
    const added = compiled.kept.slice(first.kept.length).map(([question]) => question);
    expect(added).toEqual(first.kept.map(([question]) => `${question}; compiled engines timed`));
    expect((await train(even, { tf32: true })).kept.at(-1)?.[0]).toMatch(/; tf32$/);
  });
});
