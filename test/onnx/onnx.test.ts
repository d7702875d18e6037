// The conformance cases of ONNX for the ops that we have, on the reference and on the CPU.
import { afterAll, describe, expect, it } from 'vitest';
import { Graph, type Value } from '../../lib/graph/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';
import { adapters, type Given, Inexpressible, type Run } from './adapters.ts';
import { loadCases, type OnnxCase } from './cases.ts';

const cases = loadCases();

describe.each(['reference', 'cpu'])('ONNX on %s', (name) => {
  const device = Device.open(name, { threads: 1 });
  let ran = 0;
  const refused: string[] = [];
  afterAll(async () => (await device).close());

  it.for(cases)('$op $name', async (onnx, { skip }) => {
    const run = runner(await device);
    const adapter = adapters[onnx.op];
    if (!adapter) throw new Error(`no adapter for ${onnx.op}`);
    try {
      expectOutputs(onnx, await adapter(onnx, run));
      ran++;
    } catch (error) {
      if (!(error instanceof Inexpressible)) throw error;
      refused.push(onnx.name);
      skip(error.message);
    }
  });

  it('ran every case but the inexpressible', () => {
    expect(refused.length).toBe(25);
    expect(ran).toBe(100);
  });
});

function runner(device: Device): Run {
  return async (inputs: Given, build) => {
    const graph = new Graph({ training: true });
    const values: Record<string, Value> = {};
    for (const [name, { shape, data, format = 'plain' }] of Object.entries(inputs)) {
      values[name] = graph.input(name, { shape, format, dtype: data instanceof Int32Array ? 'int32' : 'float32' });
    }
    const wanted = build(values, graph).map(({ name }) => name);
    const state = await device.createState(variablesOf(graph));
    const keep = wanted.filter((name) => graph.find(name).storage === 'temporary');
    const program = await compile(graph, { device, state, keep });
    try {
      await program.step(Object.fromEntries(Object.entries(inputs).map(([name, { data }]) => [name, data])));
      const outputs: number[][] = [];
      for (const name of wanted) outputs.push([...(await program.fetch(name))]);
      return outputs;
    } finally {
      program.close();
      state.close();
    }
  };
}

function expectOutputs({ outputs, tolerance: [relative, absolute] }: OnnxCase, found: readonly number[][]): void {
  expect(found.length).toBe(outputs.length);
  outputs.forEach(({ data }, output) => {
    expect(found[output]?.length).toBe(data.length);
    data.forEach((truth, i) => {
      const error = Math.abs((found[output]?.[i] as number) - truth);
      if (error <= absolute + relative * Math.abs(truth)) return;
      expect.fail(`output ${output}[${i}] is ${found[output]?.[i]}, expected ${truth}`);
    });
  });
}
