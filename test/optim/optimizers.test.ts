// Optimizers and weight averages against PyTorch (LARS: against the paper's formula in numpy), step by step.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, hostArrayOf, type Value } from '../../lib/graph/index.ts';
import { increment } from '../../lib/ops/index.ts';
import { type AdamOptions, adam, adamw, averageWeights, lars, type Optimizer, sgd } from '../../lib/optim/index.ts';
import { compile, Device, type State, variablesOf } from '../../lib/program.ts';
import { uniform } from '../goldens/weights.ts';

type Tensors = Record<string, number[]>;
const file = new URL('../goldens/optimizers.json', import.meta.url);
const { rates, ...goldens } = JSON.parse(readFileSync(file, 'utf8')).content as Record<string, Tensors> & {
  rates: number[];
};

const shapes = { 'conv.weight': [3, 2, 1, 1], 'bn.weight': [3], 'fc.weight': [2, 3], 'fc.bias': [2] } as const;
const names = Object.keys(shapes) as (keyof typeof shapes)[];

const precisions = [
  { name: 'reference', dtype: 'float64', digits: 12 },
  { name: 'cpu', dtype: 'float32', digits: 5 }, // 6 steps, each rounded to 6e-8 of numbers around 1
] as const;

describe.each(precisions)('$name, $dtype', ({ name: deviceName, dtype, digits }) => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open(deviceName, { threads: 1 });
  });
  afterAll(() => device.close());

  it.each<[string, Optimizer]>([
    ['sgd', sgd({ momentum: 0.9, nesterov: true, weightDecay: 0.01 })],
    ['adam', adam()],
    ['adam custom', adam({ betas: [0.8, 0.95], epsilon: 1e-3, weightDecay: 0.05, maxNorm: 1.5 })],
    ['adamw', adamw({ weightDecay: 0.1 })],
    ['lars', lars({ weightDecay: 0.05, trustCoefficient: 0.02 })],
  ])('%s', async (golden, optimizer) => {
    const found = await trained(optimizer, golden === 'lars');
    expectClose(found, goldens[golden] as Tensors, digits);
  });

  it('averages of parameters and buffers', async () => {
    const kinds = ['weight', 'bias', 'running_mean', 'running_var'];
    const graph = new Graph({ dtype, training: true });
    const step = graph.variable('step', { shape: [1], dtype: 'int32' });
    const values = kinds.map((kind) => graph.variable(kind, { shape: [3] }));
    averageWeights(graph, values, { decay: 0.9, step });
    increment(step);
    const found = await run(graph, async (state, at) => {
      for (const kind of kinds) await state.write(kind, hostArrayOf(dtype).from(uniform(`value.${at}.${kind}`, [3])));
      return {};
    });
    expectClose(
      Object.fromEntries(kinds.map((kind) => [kind, found(`ema.${kind}`)])),
      goldens.average as Tensors,
      digits,
    );
  });

  async function trained(optimizer: Optimizer, emptyLinear: boolean): Promise<Tensors> {
    const graph = new Graph({ dtype, training: true });
    const rate = graph.input('learning_rate', { shape: [1] });
    const parameters: Value[] = [];
    const gradients: Value[] = [];
    for (const key of names) {
      const type = { shape: shapes[key], format: shapes[key].length === 4 ? 'filter' : 'plain' } as const;
      const initial = hostArrayOf(dtype).from(uniform(key, type.shape));
      if (emptyLinear && key === 'fc.weight') initial.fill(0);
      parameters.push(graph.variable(key, { ...type, initial }));
      gradients.push(graph.input(`grad.${key}`, type));
    }
    optimizer.update(graph, parameters, gradients, rate);
    const found = await run(graph, async (_, at) => {
      const inputs = names.map((key) => [`grad.${key}`, uniform(`gradient.${at}.${key}`, shapes[key])] as const);
      return { learning_rate: [rates[at] as number], ...Object.fromEntries(inputs) };
    });
    return Object.fromEntries(names.map((key) => [key, found(key)]));
  }

  /** Runs one step for each rate; `inputs` says what each step gets. */
  async function run(
    graph: Graph,
    inputs: (state: State, at: number) => Promise<Record<string, ArrayLike<number>>>,
  ): Promise<(name: string) => number[]> {
    const state = await device.createState(variablesOf(graph));
    const program = await compile(graph, { device, state });
    try {
      for (const at of rates.keys()) {
        const given = Object.entries(await inputs(state, at));
        await program.step(Object.fromEntries(given.map(([key, data]) => [key, hostArrayOf(dtype).from(data)])));
      }
      const content = await state.readAll();
      return (key) => [...(content.get(key) ?? [])];
    } finally {
      program.close();
      state.close();
    }
  }
});

function expectClose(found: Tensors, truth: Tensors, digits: number): void {
  expect(Object.keys(found)).toEqual(Object.keys(truth));
  for (const [key, numbers] of Object.entries(truth)) {
    expect(found[key]?.length).toBe(numbers.length);
    numbers.forEach((number, i) => {
      expect(found[key]?.[i], `${key}[${i}]`).toBeCloseTo(number, digits);
    });
  }
}

describe('what is refused', () => {
  it.each<[string, () => unknown]>([
    ['adam: betas[0] must be from 0 to below 1, got 1', () => adam({ betas: [1, 0.9] })],
    ['adamw: betas[1] must be from 0 to below 1, got NaN', () => adamw({ betas: [0.9, Number.NaN] })],
    ['adam: epsilon must be a finite number of at least 0, got -1', () => adam({ epsilon: -1 })],
    ['adamw: weightDecay must be a finite number of at least 0, got -1', () => adamw({ weightDecay: -1 })],
    ["adam: there is no option 'beta'", () => adam({ beta: 0.9 } as AdamOptions)],
    ['lars: trustCoefficient must be a finite number above 0, got 0', () => lars({ trustCoefficient: 0 })],
    ['lars: momentum must be from 0 to below 1, got 1', () => lars({ momentum: 1 })],
    ['averageWeights: decay must be from 0 to below 1, got 1', () => average(1)],
  ])('%s', (text, make) => {
    expect(make).toThrow(text);
  });

  function average(decay: number) {
    const graph = new Graph();
    averageWeights(graph, [], { decay, step: graph.variable('step', { shape: [1], dtype: 'int32' }) });
  }
});
