import { describe, expect, it } from 'vitest';
import { Graph } from '../../lib/graph/index.ts';
import { Highway } from '../../lib/nn/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';

describe('Highway', () => {
  it('mixes what its layer says and its input by the gate', async () => {
    const graph = new Graph();
    graph.name(new Highway(2).call(graph.input('x', { shape: [1, 2] })), 'y');
    const device = await Device.open('reference');
    const state = await device.createState(variablesOf(graph));
    await state.write('transform.weight', Float32Array.of(1, 2, -1, 0));
    await state.write('transform.bias', Float32Array.of(0.5, 0));
    await state.write('gate.weight', Float32Array.of(0, 0, 0, 0));
    const program = await compile(graph, { device, state, keep: ['y'] });
    await program.step({ x: Float32Array.of(3, 4) });
    const t = 1 / (1 + Math.exp(2)); // the gate's bias begins at -2
    const [a, b] = await program.fetch('y');
    expect(a).toBeCloseTo(11.5 * t + 3 * (1 - t), 5);
    expect(b).toBeCloseTo(4 * (1 - t), 5); // H is relu(-3)
    await device.close();
  });

  it('is dense or convolutional, and keeps the shape', () => {
    const graph = new Graph();
    const x = graph.input('x', { shape: [2, 4, 5, 5], format: 'activation' });
    expect(new Highway(4, { kernelSize: 3 }).call(x).shape).toEqual([2, 4, 5, 5]);
    expect(graph.find('gate.weight').shape).toEqual([4, 4, 3, 3]);
  });

  it('checks its arguments', () => {
    expect(() => new Highway(0)).toThrow('Highway: channels must be a positive integer, got 0');
  });
});
