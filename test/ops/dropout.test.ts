// The masks of dropout: what they are a function of, and that backward repeats them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, gradient, type Value } from '../../lib/graph/index.ts';
import { Dropout } from '../../lib/nn/index.ts';
import { flatten, linear, softmaxCrossEntropy, dropout as zero } from '../../lib/ops/index.ts';
import { philox4x32 } from '../../lib/philox.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';

const shape = [2, 16, 9, 7] as const;
const count = 2 * 16 * 9 * 7;

interface Mask {
  readonly p?: number;
  readonly seed?: number;
  readonly step?: number;
  readonly stream?: number;
}

describe.each(['reference', 'cpu'])('dropout on %s', (name) => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open(name, { threads: 2 });
  });
  afterAll(() => device.close());

  /** What dropout makes of ones. */
  async function mask({ p = 0.3, seed = 7, step = 11, stream = 2 }: Mask): Promise<number[]> {
    const graph = new Graph({ training: true });
    const counter = (key: string) => graph.input(key, { shape: [1], dtype: 'int32' });
    const random = { seed: counter('seed'), step: counter('step') };
    const x = graph.input('x', { shape, format: 'activation' });
    const y = graph.name(zero(x, { p, random, stream }), 'y');
    const [found] = await run(graph, [y], {
      x: new Float32Array(count).fill(1),
      seed: Int32Array.of(seed),
      step: Int32Array.of(step),
    });
    return found as number[];
  }

  async function run(graph: Graph, wanted: Value[], inputs: Record<string, Float32Array | Int32Array>) {
    const state = await device.createState(variablesOf(graph), { seed: 3 });
    const keep = wanted.map(({ name }) => name);
    const program = await compile(graph, { device, state, keep });
    await program.step(inputs);
    const found: number[][] = [];
    for (const key of keep) found.push([...(await program.fetch(key))]);
    program.close();
    state.close();
    return found;
  }

  it('follows from seed, step, stream and the logical place', async () => {
    const expected = Array.from({ length: count }, (_, i) => {
      const words = philox4x32([11, 2, Math.floor(i / 4), 0], [7, 1]);
      return (words[i % 4] as number) >= Math.floor(0.3 * 2 ** 32) ? Math.fround(1 / 0.7) : 0;
    });
    const found = await mask({});
    expect(found.map((y, i) => Math.abs(y - (expected[i] as number))).reduce((a, b) => Math.max(a, b))).toBeLessThan(
      2e-7,
    );
  });

  it('differs between seeds, steps and streams, and drops a share p', async () => {
    const masks = [{}, { seed: 8 }, { step: 12 }, { stream: 3 }].map((change) => mask(change));
    const texts = new Set((await Promise.all(masks)).map((found) => found.map((y) => (y === 0 ? 0 : 1)).join('')));
    expect(texts.size).toBe(4);
    for (const p of [0, 0.3, 0.9]) {
      const dropped = (await mask({ p })).filter((y) => y === 0).length;
      // Five standard deviations of the binomial distribution.
      expect(Math.abs(dropped - p * count)).toBeLessThanOrEqual(5 * Math.sqrt(count * p * (1 - p)));
    }
  });

  it('sends gradients through the mask of the forward pass, and layers have masks of their own', async () => {
    const graph = new Graph({ training: true });
    const x = graph.input('x', { shape, format: 'activation' });
    const [first, second] = [new Dropout(0.5), new Dropout(0.5)];
    const [a, b] = [graph.name(first.call(x), 'a'), graph.name(second.call(x), 'b')];
    const weight = graph.variable('w', {
      shape: [2, count / 2],
      initial: new Float32Array(count).map((_, i) => (i % 5) / 1000),
    });
    const labels = graph.input('labels', { shape: [2], dtype: 'int32' });
    gradient(softmaxCrossEntropy(linear(flatten(a), weight), labels), [x]);
    const inputs = { x: new Float32Array(count).fill(1), labels: Int32Array.of(0, 1) };
    const [forward, other, backward] = (await run(graph, [a, b, graph.find('grad.x')], inputs)) as [
      number[],
      number[],
      number[],
    ];
    expect(other.map((y) => y === 0)).not.toEqual(forward.map((y) => y === 0));
    expect(backward.every((dx, i) => forward[i] !== 0 || dx === 0)).toBe(true);
    expect(backward.some((dx) => dx !== 0)).toBe(true);
    expect(backward.filter((dx) => dx === 0).length).toBeLessThan(0.7 * count);
  });

  it('passes its input on where nothing is trained', () => {
    const x = new Graph().input('x', { shape, format: 'activation' });
    expect(new Dropout(0.5).call(x)).toBe(x);
  });
});
