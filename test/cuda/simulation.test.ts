// What only the simulated device can show (`.ci/run simulate`): networks against the CPU, any order of blocks and
// threads, a device that is too small, and every call of the runtime failing once.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, gradient } from '../../lib/graph/index.ts';
import { gather, linear, relu, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { sgd } from '../../lib/optim/index.ts';
import { compile, Device, type DeviceOptions, variablesOf } from '../../lib/program.ts';
import { feed } from '../../lib/train/feed.ts';
import { readCheckpoint, Trainer } from '../../lib/train/index.ts';
import { compileToFit } from '../../lib/train/memory.ts';
import { presence } from '../support/devices.ts';
import { Random } from '../support/random.ts';
import { runChild, temporaryFolder, weightsHash } from '../train/processes.ts';
import { tinyRun } from '../train/tiny.ts';
import { disagreement, lossesOf, networks } from './device/training.ts';

let simulated = false;
beforeAll(async () => {
  if (!(await presence('cuda')).available) return;
  const device = await Device.open('cuda:0');
  simulated = device.description.startsWith('simulated device');
  await device.close();
});
afterAll(() => behave(''));

/** How the simulated device behaves from its next opening on; see test/cuda/sim/control.h. */
function behave(settings: string): void {
  process.env.NODE_CUDNN_SIMULATION = settings;
}

describe('the simulated device', () => {
  it.for(networks.map((network) => [network.name, network] as const))(
    'trains %s as the CPU does',
    async ([, network], { skip }) => {
      if (!simulated) return skip('the device cuda is not the simulation');
      behave('');
      const found = await lossesOf('cuda:0', network);
      expect(disagreement(found, await lossesOf('cpu', network))).toBe(undefined);
    },
  );

  it('gives the same bits in whatever order blocks and threads run', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    const runs: Float32Array[] = [];
    for (const settings of ['', 'seed=1', 'seed=2']) {
      behave(settings);
      runs.push((await train()).weights);
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  });

  it('times the nodes of a step on its own clock, and the step does what it does', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('');
    const profiled = await train(5, 'profile');
    expect(profiled.weights).toEqual((await train(5, 'step')).weights);
    expect(profiled.seconds).toHaveLength(profiled.nodes);
    for (const seconds of profiled.seconds) expect(seconds).toBeGreaterThan(0);
  });

  it('says which devices there are where another one is asked for', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('');
    await expect(Device.open('cuda:7')).rejects.toMatchObject({
      code: 'ERR_DEVICE',
      message: "node-cudnn: device 'cuda:7' cannot be opened: the driver sees 1 GPU; use 'cuda:0'",
    });
  });

  it('names the device whose opening failed', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('fail=1');
    await expect(Device.open('cuda:0')).rejects.toThrow("device 'cuda:0' cannot be opened: the driver sees no GPU");
    behave('fail=2');
    await expect(Device.open('cuda:0')).rejects.toThrow(/device 'cuda:0' cannot be opened: cuda\w+:/);
  });

  it('times no engines where it must repeat itself', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('');
    expect(await enginesTimed({ tf32: true })).toEqual({
      description: expect.stringMatching(/, tf32$/),
      chosen: [expect.stringMatching(/^reference( again)?$/)],
    });
    expect(await enginesTimed({ deterministic: true })).toEqual({
      description: expect.stringMatching(/, deterministic$/),
      chosen: [],
    });
  });

  it.for(['broken=1', 'broken=2'])(
    'leaves an engine that fails when it is run, or that no graph captures: %s',
    async (settings, { skip }) => {
      if (!simulated) return skip('the device cuda is not the simulation');
      behave(settings);
      expect((await enginesTimed({})).chosen).toEqual(['reference again']);
    },
  );

  it('refuses what does not fit, and goes on', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('bytes=60000000'); // staging of copies takes 50331648
    await expect(train(1_000_000)).rejects.toThrow(/the program needs [0-9.]+ M/);
    expect((await train()).weights.length).toBe(8 * 4);
  });

  it('names the largest batch that fits, which does, and takes nothing for one that does not', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('bytes=52000000'); // staging of copies takes 50331648
    const device = await Device.open('cuda:0');
    const graphOf = (batchSize: number) => {
      const graph = new Graph();
      const weight = graph.variable('weight', { shape: [64, 64], initial: new Float32Array(4096) });
      graph.name(relu(linear(graph.input('x', { shape: [batchSize, 64] }), weight)), 'y');
      return graph;
    };
    const state = await device.createState(variablesOf(graphOf(1)));
    const before = device.memory();
    const refusal = await compileToFit(graphOf, 100_000, { device, state }).catch((error: Error) => error);
    expect(refusal).toMatchObject({
      code: 'ERR_MEMORY',
      message: expect.stringMatching(/^batch 100000: .* largest that fits: /),
    });
    expect(device.memory()).toEqual(before);
    const largest = Number(/largest that fits: (\d+)/.exec((refusal as Error).message)?.[1]);
    await expect(compileToFit(graphOf, largest + 1, { device, state })).rejects.toThrow(
      `largest that fits: ${largest} `,
    );
    expect(device.memory()).toEqual(before);
    const program = await compileToFit(graphOf, largest, { device, state });
    await program.step({ x: new Float32Array(largest * 64) });
    await device.close();
  });

  it('trains to the same bits where it must, in whatever order blocks and threads run', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    await using folder = await temporaryFolder();
    const hashes: string[] = [];
    for (const settings of ['seed=1', 'seed=2']) {
      behave(settings);
      const output = join(folder.path, settings);
      await using trainer = await Trainer.create(
        tinyRun({ device: 'cuda', deterministic: true, epochs: 1, output, emaDecay: 0.9 }),
      );
      await trainer.fit();
      hashes.push(await weightsHash(join(output, 'last.safetensors')));
    }
    expect(hashes[1]).toBe(hashes[0]);
  });

  it('a run whose device was lost goes on in another process from its checkpoint', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('');
    await using folder = await temporaryFolder();
    const [whole, lost] = [join(folder.path, 'whole'), join(folder.path, 'lost')];
    const run = { device: 'cuda', epochs: 2 };
    const [uninterrupted, broken] = await Promise.all([
      runChild({ ...run, output: whole }),
      runChild({ ...run, output: lost, lostIn: 2 }),
    ]);
    expect(uninterrupted).toMatchObject({ code: 0, stderr: '' });
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(
      /the device is lost to this process: restart it, and resume the run.*ERR_DEVICE_LOST/s,
    );
    const last = join(lost, 'last.safetensors');
    expect((await readCheckpoint(last)).info.position.epoch).toBe(1);
    expect(await runChild({ ...run, output: lost, resume: last })).toMatchObject({ code: 0, stderr: '' });
    expect(await weightsHash(last)).toBe(await weightsHash(join(whole, 'last.safetensors')));
  });

  it('makes an error of every call that fails, and goes on', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    behave('');
    const { weights } = await train();
    let failures = 0;
    for (let [call, unnoticed] = [1, 0]; unnoticed < mostUnnoticed; call += 1) {
      behave(`fail=${call}`);
      const failure = await train().then(
        () => undefined,
        (error: unknown) => error,
      );
      unnoticed = failure === undefined ? unnoticed + 1 : 0;
      if (failure === undefined) continue;
      failures += 1;
      expect((failure as { code?: string }).code, String(failure)).toMatch(/^ERR_(DEVICE|OUT_OF_MEMORY|DEVICE_LOST)$/);
      behave(`after=${call}`);
      expect((await train()).weights, `after call ${call} failed`).toEqual(weights);
    }
    expect(failures).toBeGreaterThan(50);
  });

  it('leaves no error of a step that failed halfway to another step', async ({ skip }) => {
    if (!simulated) return skip('the device cuda is not the simulation');
    let failures = 0;
    for (let [call, unnoticed] = [0, 0]; unnoticed < mostUnnoticed; ) {
      behave('');
      const device = await Device.open('cuda:0');
      for (let isLost = false; unnoticed < mostUnnoticed && !isLost; call += 1) {
        const met = await lookUp(device, call);
        const errors = met.filter(({ index, code }) => code !== errorOf(index));
        for (const { index, code } of errors) expect(code, `index ${index} while call ${call} fails`).toMatch(failed);
        isLost = errors.some(({ code }) => code === 'ERR_DEVICE_LOST');
        unnoticed = errors.length === 0 ? unnoticed + 1 : 0;
        failures += errors.length === 0 ? 0 : 1;
      }
      await device.close();
    }
    expect(failures).toBeGreaterThan(50);
  });
});

/** Calls that destroy what has served its turn: nobody is told when they fail. After more in a row nothing is left to fail. */
const mostUnnoticed = 12;
const failed = /^ERR_(DEVICE|OUT_OF_MEMORY|DEVICE_LOST)$/;
const outOfRange = 7;
const errorOf = (index: number) => (index === outOfRange ? 'ERR_ARGUMENT' : undefined);

/** The error of a step that looked this index up. */
interface Met {
  readonly index: number;
  readonly code: string | undefined;
}

/**
 * Steps of a new program with good indices and bad ones, in every way that steps are started; from the first of them on the
 * call of the runtime with this number fails, counted from 0.
 */
async function lookUp(device: Device, call: number): Promise<Met[]> {
  await behaveNow('');
  const graph = new Graph();
  const table = graph.variable('table', { shape: [4, 3], initial: new Float32Array(12) });
  graph.name(relu(gather(table, graph.input('index', { shape: [1], dtype: 'int32' }))), 'found');
  const state = await device.createState(variablesOf(graph));
  const program = await compile(graph, { device, state, keep: ['found'] });
  await behaveNow(`fail=${call + callsToCount + 1}`);
  const met: Met[] = [];
  const settle = async (index: number, work: Promise<unknown>) => {
    const code = await work.then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    met.push({ index, code });
  };
  const run = (index: number, steps = 1) =>
    settle(index, program.run(steps, { index: new Int32Array(steps).fill(index) }));
  const profile = (index: number) => settle(index, program.profile({ index: Int32Array.of(index) }));
  await run(outOfRange);
  await run(1);
  await Promise.all([outOfRange, 2, outOfRange, 3].map((index) => run(index)));
  await run(outOfRange, 2);
  await settle(1, program.fetch('found'));
  await profile(outOfRange);
  await profile(3);
  program.close();
  state.close();
  return met;
}

/** Also where a device is open. */
async function behaveNow(settings: string): Promise<void> {
  behave(settings);
  await Device.open('cuda:7').catch(() => undefined); // counts the devices
}
const callsToCount = 1;

interface Trained {
  readonly weights: Float32Array;
  /** Seconds of the nodes in the last step. */
  readonly seconds: readonly number[];
  readonly nodes: number;
}

/** Three steps of a small net with two layers, each on another batch and at another learning rate; the last is profiled. */
async function train(batch = 5, last: 'profile' | 'step' = 'profile'): Promise<Trained> {
  const device = await Device.open('cuda:0');
  try {
    const random = new Random('weights');
    const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
    const graph = new Graph({ training: true });
    const x = graph.input('x', { shape: [batch, 8] });
    const labels = graph.input('labels', { shape: [batch], dtype: 'int32' });
    const first = graph.variable('first', { shape: [8, 8], initial: normal(64) });
    const second = graph.variable('second', { shape: [4, 8], initial: normal(32) });
    const loss = softmaxCrossEntropy(linear(relu(linear(x, first)), second), labels);
    const gradients = gradient(loss, [first, second]);
    sgd({ momentum: 0.9 }).update(graph, [first, second], gradients, graph.input('lr', { shape: [1] }));
    const state = await device.createState(variablesOf(graph));
    const program = await compile(graph, { device, state });
    const inputs = (step: number) => {
      const targets = Int32Array.from({ length: batch }, () => random.integer(0, 3));
      return { x: normal(batch * 8), labels: targets, lr: Float32Array.of(0.1 / step) };
    };
    await feed(program, [inputs(1), inputs(2)]);
    const profile = await program[last](inputs(3));
    const weights = (await state.read('second')) as Float32Array;
    return { weights, seconds: profile?.map(({ seconds }) => seconds) ?? [], nodes: program.plan.rows.length };
  } finally {
    await device.close();
  }
}

/** What a device with an empty cache chooses by time when one product is compiled, and how it describes itself. */
async function enginesTimed(options: DeviceOptions): Promise<{ description: string; chosen: string[] }> {
  const engineCache = await mkdtemp(join(tmpdir(), 'node-cudnn-engines-'));
  const device = await Device.open('cuda:0', { ...options, engineCache });
  try {
    const graph = new Graph();
    graph.name(linear(graph.input('x', { shape: [2, 3] }), graph.input('w', { shape: [4, 3] })), 'y');
    await compile(graph, { device, state: await device.createState([]), keep: ['y'] });
    const [file = ''] = await readdir(engineCache);
    const [, ...choices] = (await readFile(join(engineCache, file), 'utf8')).trim().split('\n');
    return { description: device.description, chosen: choices.map((line) => line.split('\t')[1] as string) };
  } finally {
    await device.close();
    await rm(engineCache, { recursive: true });
  }
}
