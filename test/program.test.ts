import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, type HostArray } from '../lib/graph/index.ts';
import { BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Sequential } from '../lib/nn/index.ts';
import { add, increment, linear, relu } from '../lib/ops/index.ts';
import { type CompileOptions, compile, Device, type Program, type State, variablesOf } from '../lib/program.ts';

let device: Device;
beforeAll(async () => {
  device = await Device.open('reference');
});
afterAll(() => device.close());

/** y = relu(x wᵀ); counter += 1 */
function graphOf(): Graph {
  const graph = new Graph();
  const x = graph.input('x', { shape: [2, 3] });
  const w = graph.variable('fc.weight', { shape: [2, 3], initial: Float32Array.of(1, 0, 0, 0, -1, 0) });
  const y = graph.scope('fc', () => linear(x, w));
  graph.name(y, 'before');
  graph.name(relu(y), 'y');
  increment(graph.variable('counter', { shape: [1], dtype: 'int32' }));
  return graph;
}

async function made(graph: Graph, options: Partial<CompileOptions> = {}): Promise<{ state: State; program: Program }> {
  const state = await device.createState(variablesOf(graph));
  return { state, program: await compile(graph, { device, state, ...options }) };
}

const x = Float32Array.of(1, 2, 3, -4, -5, 6);

async function nameOrError(name: string): Promise<string> {
  try {
    const opened = await Device.open(name);
    await opened.close();
    return opened.name;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('Device.open', () => {
  it.each([['gpu'], ['CPU'], [''], [7]])('refuses %j and says what devices are called', async (name) => {
    await expect(Device.open(name as string)).rejects.toThrow("a device is called 'cpu', 'reference' or 'cuda:0'");
  });

  it("takes 'cuda' for 'cuda:0'", async () => {
    const [short, long] = await Promise.all(['cuda', 'cuda:0'].map(nameOrError));
    expect(short?.replace("'cuda'", "'cuda:0'")).toBe(long);
    expect(long).toContain('cuda:0');
  });

  it.each([[0], [-1], [1.5], [Number.NaN], ['2']])('refuses %j threads', async (threads) => {
    const opened = Device.open('reference', { threads: threads as number });
    await expect(opened).rejects.toThrow(`threads must be an integer of at least 1, got ${threads}`);
  });

  it('knows the kinds of device', () => {
    const reference = Device.backends().find(({ name }) => name === 'reference');
    expect(reference?.available).toBe(true);
  });
});

describe('Program', () => {
  it('steps, and gives kept values and variables', async () => {
    const { program, state } = await made(graphOf(), { keep: ['y'] });
    await program.step({ x });
    expect(await program.fetch('y')).toEqual(Float32Array.of(1, 0, 0, 5));
    await program.step({ x: x.map((value) => 2 * value) });
    expect(await program.fetch('y')).toEqual(Float32Array.of(2, 0, 0, 10));
    expect(await program.fetch('counter')).toEqual(Int32Array.of(2));
    expect(await state.read('counter')).toEqual(Int32Array.of(2));
  });

  it('runs several steps over stacked inputs', async () => {
    const { program } = await made(graphOf(), { keep: ['y'] });
    await program.run(3, { x: Float32Array.of(...x, ...x, 7, 0, 0, 0, -8, 0) });
    expect(await program.fetch('y')).toEqual(Float32Array.of(7, 0, 0, 8));
    expect(await program.fetch('counter')).toEqual(Int32Array.of(3));
  });

  it('fetches under any of the names of a value', async () => {
    const graph = graphOf();
    graph.name(graph.find('y'), 'alias');
    const { program } = await made(graph, { keep: ['alias'] });
    await program.step({ x });
    expect(await program.fetch('y')).toEqual(Float32Array.of(1, 0, 0, 5));
  });

  it('copies its inputs before step() returns', async () => {
    const { program } = await made(graphOf(), { keep: ['y'] });
    const mine = x.slice();
    const done = program.step({ x: mine });
    mine.fill(Number.NaN);
    await done;
    expect(await program.fetch('y')).toEqual(Float32Array.of(1, 0, 0, 5));
  });

  it('times every node', async () => {
    const { program } = await made(graphOf(), { keep: ['y'] });
    const rows = await program.profile({ x });
    expect(rows.map(({ op, path }) => [op, path])).toEqual(
      expect.arrayContaining([
        ['linear', 'fc'],
        ['increment', ''],
      ]),
    );
    expect(rows.every(({ seconds }) => seconds >= 0)).toBe(true);
    expect(rows.find(({ op }) => op === 'linear')?.multiplyAdds).toBe(2 * 3 * 2);
  });

  it('prints its plan', async () => {
    const { program } = await made(graphOf(), { keep: ['y'] });
    const [header, ...lines] = program.toString().split('\n');
    expect(header?.split(/\s+/)).toEqual(['op', 'layer', 'shapes', 'dtype', 'kernel', 'bytes', 'offset']);
    expect(lines[0]).toMatch(/^linear +fc +\[2,3\] \[2,3\] -> \[2,2\] +float32 +\S+ +\d+ +\d+$/);
    expect(lines.at(-1)).toMatch(/^3 nodes, .* arena \(lower bound .*\)$/);
    expect(program.inputs).toEqual([{ name: 'x', shape: [2, 3], dtype: 'float32', format: 'plain' }]);
  });

  it.each<[string, Record<string, HostArray>]>([
    ["input 'x' (float32 plain [2,3]) is missing", {}],
    ["input 'x': expects float32 plain [2,3], a Float32Array of 6, got Float32Array of 5", { x: new Float32Array(5) }],
    ["input 'x': expects float32 plain [2,3], a Float32Array of 6, got Int32Array of 6", { x: new Int32Array(6) }],
    ["input 'x': expects float32 plain [2,3], a Float32Array of 6, got object", { x: [1, 2, 3, 4, 5, 6] as never }],
    ["the step has no input 'X'; its inputs: x", { x, X: x }],
  ])('refuses inputs: %s', async (text, inputs) => {
    const { program } = await made(graphOf());
    await expect(program.step(inputs)).rejects.toThrow(text);
    await program.step({ x });
  });

  it('says how many steps the inputs are for', async () => {
    const { program } = await made(graphOf());
    await expect(program.run(2, { x })).rejects.toThrow('expects 2 times float32 plain [2,3], a Float32Array of 12');
    await expect(program.run(0, { x })).rejects.toThrow('steps must be an integer of at least 1, got 0');
  });

  it('says how to keep what was not kept', async () => {
    const { program } = await made(graphOf(), { keep: ['y'] });
    await expect(program.fetch('before')).rejects.toThrow("'before' is not kept: compile(graph, { keep: ['before'] })");
    await expect(program.fetch('fc.wieght')).rejects.toThrow("did you mean 'fc.weight'?");
  });
});

describe('compile', () => {
  it('refuses to keep what does not exist', async () => {
    await expect(made(graphOf(), { keep: ['z'] })).rejects.toThrow("no value is called 'z'");
  });

  it('wants every variable in the state, of the same type', async () => {
    const graph = graphOf();
    const state = await device.createState([{ name: 'counter', shape: [1], dtype: 'int32', format: 'plain' }]);
    await expect(compile(graph, { device, state })).rejects.toThrow("the state lacks 1 variables, first 'fc.weight'");
    const specs = variablesOf(graph).map(
      (spec) => ({ name: spec.name, shape: [9], dtype: 'float32', format: 'plain' }) as const,
    );
    const other = await device.createState(specs);
    await expect(compile(graph, { device, state: other })).rejects.toThrow(
      "'fc.weight' is float32 plain [2,3] in the graph",
    );
  });

  it('wants the state of its own device', async () => {
    const other = await Device.open('reference');
    const graph = graphOf();
    const state = await other.createState(variablesOf(graph));
    await expect(compile(graph, { device, state })).rejects.toThrow('the state belongs to another device');
    await other.close();
  });

  it('lets two programs share a state', async () => {
    const [first, second] = [graphOf(), graphOf()];
    const state = await device.createState(variablesOf(first, second));
    const programs = await Promise.all([first, second].map((graph) => compile(graph, { device, state })));
    await Promise.all(programs.map((program) => program.step({ x })));
    expect(await state.read('counter')).toEqual(Int32Array.of(2));
  });
});

describe('fusion', () => {
  const picture = Float32Array.from({ length: 2 * 3 * 9 * 9 }, (_, i) => Math.sin(i));

  function classifierOf(): Graph {
    const model = new Sequential(new Conv2d(3, 8, 3, { bias: false }), new BatchNorm2d(8), new ReLU());
    const graph = new Graph();
    graph.name(model.call(graph.input('x', { shape: [2, 3, 9, 9], format: 'activation' })), 'y');
    return graph;
  }

  it.each([
    [true, ['fold_batch_norm', 'conv2d_relu']],
    [false, ['conv2d', 'batch_norm_inference', 'relu']],
    [
      ['conv2d_relu', 'batch_norm_inference_relu'],
      ['conv2d', 'batch_norm_inference_relu'],
    ],
    [['fold_batch_norm'], ['fold_batch_norm', 'conv2d', 'relu']],
  ])('is switched by name: %j', async (fuse, ops) => {
    const { program } = await made(classifierOf(), { keep: ['y'], fuse });
    expect(program.plan.rows.map(({ op }) => op)).toEqual(ops);
  });

  it('refuses names of nothing that fuses', async () => {
    await expect(made(classifierOf(), { fuse: ['conv_relu'] })).rejects.toThrow(
      "compile: nothing fuses to 'conv_relu'; did you mean 'conv2d_relu'?",
    );
  });

  it('folds the weights and statistics of every run, not those of the first', async () => {
    const graph = classifierOf();
    const { program, state } = await made(graph, { keep: ['y'] });
    await program.step({ x: picture });
    const before = await program.fetch('y');
    for (const [name, value] of [
      ['0.weight', 2],
      ['1.running_mean', 0.25],
      ['1.running_var', 4],
    ] as const) {
      await state.write(name, (await state.read(name)).map(() => value) as Float32Array);
    }
    await program.step({ x: picture });
    const after = await program.fetch('y');
    const plain = await compile(classifierOf(), { device, state, keep: ['y'], fuse: false });
    await plain.step({ x: picture });
    const expected = await plain.fetch('y');
    expect(after).not.toEqual(before);
    after.forEach((value, i) => void expect(value).toBeCloseTo(expected[i] as number, 5));
  });
});

describe('State', () => {
  it('begins as its variables say', async () => {
    const { state } = await made(graphOf());
    expect(await state.readAll()).toEqual(
      new Map<string, HostArray>([
        ['fc.weight', Float32Array.of(1, 0, 0, 0, -1, 0)],
        ['counter', Int32Array.of(0)],
      ]),
    );
  });

  it('begins by seed and name', async () => {
    const model = new Sequential(new Conv2d(3, 4, 3), new ReLU(), new Flatten(), new Linear(144, 5));
    const graph = new Graph();
    model.call(graph.input('x', { shape: [1, 3, 8, 8], format: 'activation' }));
    const [a, b, c] = await Promise.all([1, 1, 2].map((seed) => device.createState(variablesOf(graph), { seed })));
    expect(await a?.read('0.weight')).toEqual(await b?.read('0.weight'));
    expect(await a?.read('0.weight')).not.toEqual(await c?.read('0.weight'));
  });

  it('is written and read in logical order', async () => {
    const { state } = await made(graphOf());
    await state.write('fc.weight', x);
    expect(await state.read('fc.weight')).toEqual(x);
  });

  it('checks what is written, and names what it does not have', async () => {
    const { state } = await made(graphOf());
    await expect(state.write('fc.weight', new Float32Array(5))).rejects.toThrow(
      "variable 'fc.weight': expects float32 plain [2,3]",
    );
    await expect(state.read('fc.weights')).rejects.toThrow(
      "the state has no variable 'fc.weights'; did you mean 'fc.weight'?",
    );
  });

  it('checks initial content before it allocates', async () => {
    const { bytes } = device.memory();
    const spec = { name: 'w', shape: [3], dtype: 'float32', format: 'plain', initial: new Float32Array(2) } as const;
    await expect(device.createState([spec])).rejects.toThrow("initial content of 'w': expects float32 plain [3]");
    expect(device.memory().bytes).toBe(bytes);
  });

  it('refuses graphs that do not agree', () => {
    const [a, b] = [new Graph(), new Graph()];
    a.variable('w', { shape: [3] });
    b.variable('w', { shape: [4] });
    expect(() => variablesOf(a, b)).toThrow(
      "variable 'w' is float32 plain [3] in one graph and float32 plain [4] in another",
    );
  });
});

it('a value that is read twice keeps its content', async () => {
  const graph = new Graph();
  const input = graph.input('x', { shape: [2] });
  const y = relu(input);
  graph.name(add(add(y, y), y), 'sum');
  const { program } = await made(graph, { keep: ['sum'] });
  await program.step({ x: Float32Array.of(-1, 2) });
  expect(await program.fetch('sum')).toEqual(Float32Array.of(0, 6));
});
