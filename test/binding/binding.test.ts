// The door itself, without lib/program.ts in front of it: whatever comes through is answered with a typed error, and
// the addon stays usable.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type NativeArray,
  type NativeDevice,
  type NativeGraph,
  type NativeNode,
  type NativeProgram,
  type NativeState,
  type NativeValue,
  native,
} from '../../lib/native.ts';
import { devices, failure, float4, graph, nodes, values, variables } from './fixture.ts';

const addon = native();
const withValue = (i: number, change: object): NativeGraph => ({
  values: values.map((value, k) => (k === i ? ({ ...value, ...change } as NativeValue) : value)),
  nodes,
});
const withNode = (i: number, change: object): NativeGraph => ({
  values,
  nodes: nodes.map((node, k) => (k === i ? ({ ...node, ...change } as NativeNode) : node)),
});

const detached = () => {
  const array = new Float32Array(4);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
};
const shrunk = () => {
  const buffer = new (
    ArrayBuffer as unknown as new (
      n: number,
      o: object,
    ) => ArrayBuffer & { resize(n: number): void }
  )(16, { maxByteLength: 64 });
  const array = new Float32Array(buffer, 0, 4);
  buffer.resize(8);
  return array;
};

describe('openDevice', () => {
  it.each([
    [undefined, "the device's name: expected a string, got undefined"],
    [7, "the device's name: expected a string, got 7"],
    [{}, 'got an object'],
    [Symbol('cpu'), 'got a symbol'],
    ['gpu', "unknown device 'gpu': expected 'cpu', 'reference', 'cuda' or 'cuda:N'"],
    ['cpu:1', "unknown device 'cpu:1'"],
    ['cuda:-1', "unknown device 'cuda:-1'"],
    ['cuda:x', "unknown device 'cuda:x'"],
    ['', "unknown device ''"],
  ])('name %s', async (name, message) => {
    const error = await failure(() => addon.openDevice(name as string, {}));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toContain(message);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '2', null, {}])('threads %s', async (threads) => {
    const error = await failure(() => addon.openDevice('reference', { threads: threads as number }));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toContain('options.threads: expected an integer from 1 to');
  });

  it.each([
    ['deterministic', 1, 'true or false'],
    ['tf32', 'yes', 'true or false'],
    ['measureEngines', null, 'true or false'],
    ['compiledEngines', 'sometimes', "'never', 'timed' or 'always'"],
    ['compiledEngines', true, "'never', 'timed' or 'always'"],
    ['libraries', 3, 'a string'],
    ['engineCache', {}, 'a string'],
  ])('%s: %s', async (name, value, expected) => {
    const error = await failure(() => addon.openDevice('reference', { [name]: value }));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toContain(`options.${name}: expected ${expected}`);
  });

  it('options that are no object', async () => {
    expect(await failure(() => addon.openDevice('reference', 3 as never))).toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it('a device that is not there is an error that names the cure, never another device', async () => {
    for (const { name, available, reason } of addon.backends()) {
      if (available) continue;
      const error = await failure(() => addon.openDevice(name, {}));
      expect(error.code).toBe('ERR_DEVICE');
      expect(error.message).toContain(reason);
    }
  });
});

it('lists the back ends', () => {
  expect(addon.backends().map(({ name }) => name)).toEqual(['reference', 'cpu', 'cuda']);
  expect(addon.backends()[0]).toEqual({ name: 'reference', available: true });
});

describe.each(devices)('%s', (name) => {
  let device: NativeDevice;
  let state: NativeState;
  let program: NativeProgram;
  const index = () => Int32Array.of(0, 3);

  beforeAll(async () => {
    device = await addon.openDevice(name, {});
    state = await device.createState(variables);
    await state.write(0, Float32Array.of(1, -2, 3, -4));
    program = await device.compile(graph, state);
  });
  afterAll(() => device.close());

  /** The same program still gives the same answer. */
  async function stillWorks(): Promise<void> {
    await program.run(1, [Float32Array.of(1, 1, 1, 1), index()]);
    expect(await program.fetch(4)).toEqual(Float32Array.of(2, 0, 4, 0));
    expect(await program.fetch(7)).toEqual(Float32Array.of(1, -4));
  }

  it('describes itself', () => {
    expect(device.name).toBe(name);
    expect(device.description).not.toBe('');
    expect(device.features).toContain('dtype:float32');
    expect(device.threads).toBeGreaterThanOrEqual(1);
    expect(() => Object.assign(device, { name: 'other' })).toThrow(TypeError);
  });

  it('plans without dead nodes', () => {
    expect(program.plan.nodes.map(({ node }) => node)).toEqual([0, 1, 3, 4]);
    expect(program.plan.offsets).toHaveLength(values.length);
    expect([1, 2, 5].map((i) => program.plan.offsets[i])).toEqual([-1, -1, -1]);
    expect(program.plan.arenaBytes).toBeGreaterThanOrEqual(program.plan.lowerBoundBytes);
  });

  it('runs steps over slices, the last one kept', async () => {
    const before = (await state.read(1))[0] as number;
    await program.run(2, [Float32Array.of(9, 9, 9, 9, 1, 1, 1, 1), Int32Array.of(1, 1, 0, 3)]);
    expect((await state.read(1))[0]).toBe(before + 2);
    await stillWorks();
  });

  it('copies the inputs before run returns', async () => {
    const x = Float32Array.of(1, 1, 1, 1);
    const done = program.run(1, [x, index()]);
    x.fill(100);
    await done;
    expect(await program.fetch(4)).toEqual(Float32Array.of(2, 0, 4, 0));
  });

  it('reads a part of a buffer, and a shared one', async () => {
    const part = Float32Array.of(7, 1, 1, 1, 1, 7).subarray(1, 5);
    await program.run(1, [part, index()]);
    expect(await program.fetch(4)).toEqual(Float32Array.of(2, 0, 4, 0));
    const shared = new Float32Array(new SharedArrayBuffer(16)).fill(1);
    await program.run(1, [shared, index()]);
    expect(await program.fetch(4)).toEqual(Float32Array.of(2, 0, 4, 0));
  });

  it('profiles every node of the plan', async () => {
    const seconds = await program.profile([new Float32Array(4), index()]);
    expect(seconds).toBeInstanceOf(Float64Array);
    expect(seconds).toHaveLength(program.plan.nodes.length);
    expect(Math.min(...seconds)).toBeGreaterThanOrEqual(0);
  });

  it.each<[string, number, () => unknown, string]>([
    ['steps 0', 0, () => [], 'steps: expected an integer from 1'],
    ['steps 1.5', 1.5, () => [], 'steps: expected an integer from 1'],
    ['steps NaN', Number.NaN, () => [], 'steps: expected an integer from 1'],
    ['steps 2^53', 2 ** 53, () => [], 'steps: expected an integer from 1'],
    ['steps that are text', '1' as never, () => [], "got '1'"],
    ['no inputs', 1, () => undefined, 'inputs: expected an array, got undefined'],
    ['too few inputs', 1, () => [new Float32Array(4)], "inputs: expected 2 arrays ('x', 'index'), got 1"],
    ['an input that is a list', 1, () => [[1, 2, 3, 4], index()], "input 'x': expected a Float32Array of 4 elements"],
    ['an input of another type', 1, () => [new Float64Array(4), index()], 'got Float64Array of 4 elements'],
    ['an input that is too short', 1, () => [new Float32Array(3), index()], 'got Float32Array of 3 elements'],
    ['an input that is too long', 1, () => [new Float32Array(5), index()], 'got Float32Array of 5 elements'],
    ['an input for one step of two', 2, () => [new Float32Array(4), index()], 'for each of 2 steps'],
    ['an odd number of elements for two steps', 2, () => [new Float32Array(9), index()], 'for each of 2 steps'],
    ['a detached input', 1, () => [detached(), index()], 'is its buffer detached or shrunk?'],
    ['a shrunk input', 1, () => [shrunk(), index()], 'is its buffer detached or shrunk?'],
    ['more steps than any array holds', 2 ** 31 - 1, () => [new Float32Array(4), index()], 'for each of 2147483647'],
  ])('run refuses %s', async (_what, steps, inputs, message) => {
    const error = await failure(() => program.run(steps, inputs() as NativeArray[]));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toContain(message);
    await stillWorks();
  });

  it('an array detached by the getter of the next one is not read', async () => {
    const x = new Float32Array(4);
    const inputs = [x, index()];
    Object.defineProperty(inputs, 1, {
      get: () => {
        structuredClone(x.buffer, { transfer: [x.buffer] });
        return index();
      },
    });
    expect((await failure(() => program.run(1, inputs))).message).toContain('detached');
  });

  it("an error thrown by the caller's own getter comes back as it is", async () => {
    const error = new RangeError('mine');
    const inputs = [new Float32Array(4), index()];
    Object.defineProperty(inputs, 1, {
      get: () => {
        throw error;
      },
    });
    await expect(program.run(1, inputs)).rejects.toBe(error);
  });

  it('an error of a step names op, path and values, and the next step runs', async () => {
    const run = () => program.run(1, [new Float32Array(4), Int32Array.of(0, 4)]);
    const error = await failure(run);
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toMatch(/gather rows.*4/);
    await stillWorks();
    const all = await Promise.allSettled([run(), program.run(1, [new Float32Array(4), index()]), run()]);
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    await stillWorks();
  });

  it.each([[-1], [8], [1.5], [Number.NaN], ['4'], [undefined]])('fetch refuses value %s', async (value) => {
    expect(await failure(() => program.fetch(value as number))).toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it('fetch refuses what is not kept, and says how to keep it', async () => {
    for (const value of [0, 3, 5]) {
      const error = await failure(() => program.fetch(value));
      expect(error.message).toContain(`value ${value} '${values[value]?.name}' is not kept after the step`);
    }
  });

  it.each([[-1], [2], [0.5], ['0'], [undefined]])('the state refuses variable %s', async (variable) => {
    const { code } = await failure(() => state.read(variable as number));
    expect(code).toBe('ERR_ARGUMENT');
    expect(await failure(() => state.write(variable as number, new Float32Array(4)))).toMatchObject({ code });
  });

  it.each([
    ['of another length', () => new Float32Array(3)],
    ['of another type', () => new Int32Array(4)],
    ['that is detached', detached],
    ['that is shrunk', shrunk],
    ['that is none', () => null],
    ['that is only a view', () => new DataView(new ArrayBuffer(16))],
  ])('the state refuses an array %s', async (_what, array) => {
    const error = await failure(() => state.write(0, array() as NativeArray));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toContain("variable 'w': expected a Float32Array of 4 elements (shape [4]), got");
  });

  it.each<[string, unknown, string]>([
    ['no list', undefined, 'variables: expected an array, got undefined'],
    ['no object', [3], 'variables[0]: expected an object, got 3'],
    ['no name', [{ ...float4 }], 'variables[0].name: expected a string, got undefined'],
    ['an unknown dtype', [{ name: 'v', ...float4, dtype: 'float8' }], "dtype: expected one of 'float32'"],
    ['an unknown format', [{ name: 'v', ...float4, format: 'nhwc' }], "format: expected one of 'activation'"],
    ['a dimension of 0', [{ name: 'v', ...float4, shape: [0] }], 'variables[0].shape[0]: expected an integer from 1'],
    ['a dimension of -1', [{ name: 'v', ...float4, shape: [2, -1] }], 'variables[0].shape[1]'],
    ['a dimension of 1.5', [{ name: 'v', ...float4, shape: [1.5] }], 'got 1.5'],
    ['a dimension of NaN', [{ name: 'v', ...float4, shape: [Number.NaN] }], 'got NaN'],
    ['2^80 elements', [{ name: 'v', ...float4, shape: [2 ** 40, 2 ** 40] }], 'more than 2^40 elements'],
    ['2^53 + 2 elements', [{ name: 'v', ...float4, shape: [2 ** 53 + 2] }], 'variables[0].shape[0]'],
    ['a filter of two dimensions', [{ name: 'v', ...float4, format: 'filter', shape: [2, 2] }], '2 dimensions'],
    ['the same name twice', [variables[0], variables[0]], 'another variable has the same name'],
  ])('createState refuses %s', async (_what, specs, message) => {
    const error = await failure(() => device.createState(specs as never));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toContain(message);
  });

  it.each<[string, unknown, string]>([
    ['no graph', undefined, 'graph: expected an object, got undefined'],
    ['no values', { nodes: [] }, 'graph.values: expected an array, got undefined'],
    ['no nodes', { values: [] }, 'graph.nodes: expected an array, got undefined'],
    ['an unknown storage', withValue(0, { storage: 'register' }), "graph.values[0].storage: expected one of 'input'"],
    [
      'a variable without index',
      withValue(1, { variable: undefined }),
      'graph.values[1].variable: expected an integer',
    ],
    ['a variable out of range', withValue(1, { variable: 2 }), "value 1 'w': it is variable 2, but the state has 2"],
    ['a variable of another type', withValue(1, { shape: [5] }), "the state's 'w' has float32 [4] plain"],
    ['a variable twice', withValue(2, { ...values[1] }), "variable 'w' is already another value"],
    ['a keep that is no flag', withValue(3, { keep: 1 }), 'graph.values[3].keep: expected true or false, got 1'],
    ['an input index out of range', withNode(1, { inputs: [8] }), 'relu layer2: an input is value 8'],
    [
      'an input index below zero',
      withNode(1, { inputs: [-1] }),
      'graph.nodes[1].inputs[0]: expected an integer from 0',
    ],
    ['an output index out of range', withNode(1, { outputs: [99] }), 'relu layer2: an output is value 99'],
    ['an output index of 2^40', withNode(1, { outputs: [2 ** 40] }), 'graph.nodes[1].outputs[0]'],
    ['a value used before it is written', withNode(0, { inputs: [4, 1] }), "reads value 4 'y' before any node"],
    ['a value written twice', withNode(1, { outputs: [3] }), "writes value 3 'sum', which add layer1 has already"],
    ['an input that is written', withNode(1, { outputs: [0] }), "relu layer2: writes the input value 0 'x'"],
    ['no op', withNode(0, { op: '' }), 'node 0 has no op'],
    ['an attribute that is an object', withNode(4, { attributes: { by: {} } }), 'graph.nodes[4].attributes.by'],
    ['an attribute that lists text', withNode(4, { attributes: { by: ['1'] } }), 'attributes.by[0]: expected a number'],
    ['attributes that are none', withNode(4, { attributes: null }), 'graph.nodes[4].attributes: expected an object'],
    ['an op that nobody knows', withNode(0, { op: 'sub' }), 'sub layer1'],
    ['too few inputs', withNode(0, { inputs: [0] }), 'add layer1'],
    ['types that do not agree', withNode(0, { inputs: [0, 2] }), 'add layer1'],
    ['an attribute that is missing', withNode(4, { attributes: {} }), 'increment count'],
    ['an attribute that is no integer', withNode(4, { attributes: { by: 1.5 } }), 'increment count'],
  ])('compile refuses %s', async (_what, malformed, message) => {
    const before = device.memory().bytes;
    const error = await failure(() => device.compile(malformed as NativeGraph, state));
    expect(error.code).toBe('ERR_GRAPH');
    expect(error.message).toContain(message);
    expect(device.memory().bytes).toBe(before);
  });

  it('compile refuses what is no state, and the state of another device', async () => {
    for (const other of [undefined, null, {}, 3, device, program, Object.create(state)]) {
      const error = await failure(() => device.compile(graph, other as NativeState));
      expect(error.code).toBe('ERR_ARGUMENT');
      expect(error.message).toContain('expected the state that createState() made');
    }
    const second = await addon.openDevice(name, {});
    const foreign = await second.createState(variables);
    expect((await failure(() => device.compile(graph, foreign))).message).toContain('belongs to another device');
    await second.close();
  });

  it('names one of several graphs as the fastest, and keeps nothing of them', async () => {
    const before = device.memory().bytes;
    const alternatives = ['one', 'other'].map((alternative) => ({ name: alternative, graph }));
    expect(['one', 'other']).toContain(await device.fastest('a problem', variables, alternatives));
    expect(device.memory().bytes).toBe(before);
    await stillWorks();
  });

  it.each<[string, unknown[], string, string]>([
    ['no problem', [undefined, variables, []], 'ERR_ARGUMENT', 'problem: expected a string, got undefined'],
    ['no variables', ['a problem', 3, []], 'ERR_ARGUMENT', 'variables: expected an array, got 3'],
    ['no list', ['a problem', variables, {}], 'ERR_ARGUMENT', 'alternatives: expected an array, got an object'],
    ['nothing to choose from', ['a problem', variables, []], 'ERR_ARGUMENT', 'nothing to choose from (a problem)'],
    ['no name', ['a problem', variables, [{ graph }]], 'ERR_ARGUMENT', 'alternatives[0].name: expected a string'],
    ['no graph', ['a problem', variables, [{ name: 'a' }]], 'ERR_GRAPH', 'alternatives[0].graph: expected an object'],
    [
      'a graph of an op that nobody knows',
      ['a problem', variables, [{ name: 'a', graph: withNode(0, { op: 'sub' }) }]],
      'ERR_GRAPH',
      'sub layer1',
    ],
  ])('fastest refuses %s', async (_what, given, code, message) => {
    const before = device.memory().bytes;
    const error = await failure(() => device.fastest(...(given as Parameters<NativeDevice['fastest']>)));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(device.memory().bytes).toBe(before);
  });

  it.runIf(name === 'cpu')('a dtype that the device lacks is named with the value', async () => {
    const error = await failure(() => device.createState([{ name: 'v', ...float4, dtype: 'float64' }]));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toMatch(/'v' \[4\]: float64 is not supported/);
  });

  it('methods refuse a foreign `this`, and classes cannot be constructed', async () => {
    const { run } = Object.getPrototypeOf(program) as NativeProgram;
    for (const foreign of [undefined, {}, state, device]) expect(() => run.call(foreign, 1, [])).toThrow(TypeError);
    for (const object of [device, state, program]) {
      const Class = object.constructor as new (...args: unknown[]) => unknown;
      expect(() => new Class(device, {})).toThrow('no public constructor');
      expect(() => Class.call(object)).toThrow();
    }
  });
});
