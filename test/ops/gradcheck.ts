// Gradients against central differences in float64. All perturbations of one network run in a single native call.
import { expect } from 'vitest';
import { elements, type Format, Graph, gradient, type Shape, type Value } from '../../lib/graph/index.ts';
import { flatten, increment, linear, ringWrite, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { compile, type Device, variablesOf } from '../../lib/program.ts';
import { Random } from '../support/random.ts';

const epsilon = 1e-6;
const absolute = 1e-6;
const relative = 1e-5;

export interface Wanted {
  readonly shape: Shape;
  readonly format: Format;
  readonly draw?: (random: Random) => number;
}

/** A network of few ops. `build` gives its output, [N, ...], or its loss, [1]; it is called once per graph. */
export interface Network {
  readonly title: string;
  readonly inputs: Readonly<Record<string, Wanted>>;
  readonly build: (values: Readonly<Record<string, Value>>, graph: Graph) => Value;
}

type Arrays = Readonly<Record<string, Float64Array>>;

/** Checks every element of every input's gradient; returns the ops that computed it. */
export async function checkGradients(device: Device, network: Network, random: Random): Promise<string[]> {
  const draw = ({ shape, draw = (r: Random) => r.normal() }: Wanted) =>
    Float64Array.from({ length: elements(shape) }, () => draw(random));
  const point = Object.fromEntries(Object.entries(network.inputs).map(([name, wanted]) => [name, draw(wanted)]));
  const { gradients, ops } = await analytic(device, network, point);
  const quotients = await numeric(device, network, point);
  let at = 0;
  for (const [name, found] of Object.entries(gradients)) {
    found.forEach((value, i) => {
      const truth = quotients[at + i] as number;
      if (Math.abs(value - truth) <= absolute + relative * Math.abs(truth)) return;
      expect.fail(`${network.title}: gradient of ${name}[${i}] is ${value}, the difference quotient ${truth}`);
    });
    at += found.length;
  }
  expect(at).toBe(quotients.length);
  return ops;
}

async function analytic(
  device: Device,
  network: Network,
  point: Arrays,
): Promise<{ gradients: Arrays; ops: string[] }> {
  const { graph, loss, inputs } = lossGraph(network);
  const keep = gradient(loss, inputs).map(({ name }) => name);
  const state = await device.createState(variablesOf(graph));
  const program = await compile(graph, { device, state, keep });
  await program.step(point);
  const gradients: Record<string, Float64Array> = {};
  for (const { name } of inputs) gradients[name] = (await program.fetch(`grad.${name}`)) as Float64Array;
  program.close();
  state.close();
  return { gradients, ops: program.plan.rows.map(({ op }) => op) };
}

/** Central difference quotients of all elements, input after input. */
async function numeric(device: Device, network: Network, point: Arrays): Promise<Float64Array> {
  const { graph, loss } = lossGraph(network);
  const count = Object.values(point).reduce((sum, { length }) => sum + length, 0);
  const step = graph.variable('step', { shape: [1], dtype: 'int32' });
  const ring = graph.variable('ring', { shape: [2 * count] });
  ringWrite(loss, step, ring);
  increment(step);
  const state = await device.createState(variablesOf(graph));
  const program = await compile(graph, { device, state });
  await program.run(2 * count, perturbed(point, count));
  const losses = (await state.read('ring')) as Float64Array;
  program.close();
  state.close();
  return Float64Array.from({ length: count }, (_, i) => {
    return ((losses[2 * i] as number) - (losses[2 * i + 1] as number)) / (2 * epsilon);
  });
}

/** Two copies of all inputs per element: the element a little larger, then a little smaller. */
function perturbed(point: Arrays, count: number): Arrays {
  let first = 0;
  const stacked: Record<string, Float64Array> = {};
  for (const [name, values] of Object.entries(point)) {
    const all = new Float64Array(2 * count * values.length);
    for (let row = 0; row < 2 * count; row++) all.set(values, row * values.length);
    for (let i = 0; i < values.length; i++) {
      const row = 2 * (first + i);
      all[row * values.length + i] = (values[i] as number) + epsilon;
      all[(row + 1) * values.length + i] = (values[i] as number) - epsilon;
    }
    stacked[name] = all;
    first += values.length;
  }
  return stacked;
}

function lossGraph({ inputs, build }: Network): { graph: Graph; loss: Value; inputs: Value[] } {
  const graph = new Graph({ dtype: 'float64', training: true });
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, format }]) => [name, graph.input(name, { shape, format })]),
  );
  const y = build(values, graph);
  return { graph, loss: y.shape.length === 1 ? y : project(y, graph), inputs: Object.values(values) };
}

/** One number that every element of y bears on: the cross entropy of a fixed random projection to three classes. */
function project(y: Value, graph: Graph): Value {
  const flat = y.format === 'activation' ? flatten(y) : y;
  const [n, features] = flat.shape as [number, number];
  const random = new Random('projection');
  const initial = Float64Array.from({ length: 3 * features }, () => random.normal() / Math.sqrt(features));
  const logits = linear(flat, graph.variable('projection', { shape: [3, features], initial }));
  const labels = Int32Array.from({ length: n }, (_, i) => i % 3);
  return softmaxCrossEntropy(logits, graph.variable('labels', { shape: [n], dtype: 'int32', initial: labels }));
}
