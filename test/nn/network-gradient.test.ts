// The gradient of a whole network with fan-out, shared modules and both shortcuts, against finite differences in float64.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, gradient, type Value } from '../../lib/graph/index.ts';
import { AvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU } from '../../lib/nn/index.ts';
import { Random } from '../../lib/nn/random.ts';
import { add, softmaxCrossEntropy, subsamplePad } from '../../lib/ops/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';

class Net extends Module {
  readonly stem = new Conv2d(2, 4, 3, { padding: [1, 0, 0, 1], groups: 2, bias: false });
  readonly bn = new BatchNorm2d(4);
  readonly shared = new Conv2d(4, 4, 3, { padding: 1, bias: false });
  readonly relu = new ReLU();
  readonly wide = new Conv2d(4, 6, 3, { stride: 2, padding: 1 });
  readonly max = new MaxPool2d(2, { stride: 1 });
  readonly avg = new AvgPool2d(2, { stride: 1 });
  readonly flatten = new Flatten();
  readonly fc = new Linear(24, 3);

  override forward(x: Value): Value {
    const y = this.relu.call(this.bn.call(this.stem.call(x)));
    const z = this.relu.call(add(this.bn.call(this.shared.call(this.shared.call(y))), y));
    const w = add(this.wide.call(z), subsamplePad(z, { stride: 2, channels: 6 }));
    const pooled = add(this.max.call(w), this.avg.call(w));
    return this.fc.call(this.flatten.call(pooled));
  }
}

/** Central differences: error h² · f''' / 6 + 1e-16 / h, both near 1e-10 at this step. */
const step = 1e-5;
const tolerance = 1e-7;

describe.each([[true], [false]])('in a graph with training %s', (training) => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open('reference');
  });
  afterAll(() => device.close());

  it('agrees along random directions, for every parameter and the input', async () => {
    const graph = new Graph({ dtype: 'float64', training });
    const model = new Net();
    const x = graph.variable('x', { shape: [2, 2, 6, 6], format: 'activation', initial: () => noise('x', 144) });
    const labels = graph.input('labels', { shape: [2], dtype: 'int32' });
    const loss = graph.name(softmaxCrossEntropy(model.call(x), labels, { smoothing: 0.1 }), 'loss');
    const wanted = ['x', ...model.namedParameters().map(([name]) => name)];
    gradient(
      loss,
      wanted.map((name) => graph.find(name)),
    );
    const state = await device.createState(variablesOf(graph), { seed: 5 });
    const keep = ['loss', ...wanted.map((name) => `grad.${name}`)];
    const program = await compile(graph, { device, state, keep });
    const lossNow = async () => {
      await program.step({ labels: Int32Array.of(2, 0) });
      return (await program.fetch('loss'))[0] as number;
    };
    await lossNow();
    const gradients = new Map(
      await Promise.all(wanted.map(async (name) => [name, await program.fetch(`grad.${name}`)] as const)),
    );
    for (const name of wanted) {
      const start = await state.read(name);
      const direction = noise(`direction of ${name}`, start.length);
      const at = async (t: number) => {
        await state.write(
          name,
          Float64Array.from(start, (value, i) => value + t * (direction[i] as number)),
        );
        return lossNow();
      };
      const measured = ((await at(step)) - (await at(-step))) / (2 * step);
      const ours = direction.reduce((sum, value, i) => sum + value * (gradients.get(name)?.[i] as number), 0);
      expect(Math.abs(ours), `${name} moves the loss`).toBeGreaterThan(1e-5);
      expect(Math.abs(ours - measured), name).toBeLessThan(tolerance * (1 + Math.abs(ours)));
      await state.write(name, start);
    }
  });
});

function noise(name: string, length: number): Float64Array {
  const random = new Random(11, name);
  return Float64Array.from({ length }, () => random.normal());
}
