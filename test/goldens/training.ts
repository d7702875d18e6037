// A training step on given images, with the weights of the golden runs.
import { autocast, Graph, gradient, type HostArray, hostArrayOf } from '../../lib/graph/index.ts';
import { createModel } from '../../lib/models/index.ts';
import { augment, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { sgd } from '../../lib/optim/index.ts';
import { compile, type Device, type Program, type State, variablesOf } from '../../lib/program.ts';
import { initialWeights } from './weights.ts';

export interface Recipe {
  readonly batch: number;
  readonly steps: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly lr: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weight_decay: number;
}

export type Precision = 'float64' | 'float32' | 'bfloat16';

export interface Training {
  readonly program: Program;
  readonly state: State;
  readonly parameters: readonly string[];
  readonly buffers: readonly string[];
  /** One step on images uint8 [N, 32, 32, 3] and their labels; resolves with the loss. */
  step(images: Uint8Array, labels: Int32Array): Promise<number>;
  close(): void;
}

export async function startTraining(
  device: Device,
  name: string,
  precision: Precision,
  recipe: Recipe,
): Promise<Training> {
  const model = createModel(name);
  const names = model.namedParameters().map(([parameter]) => parameter);
  const forward = forwardGraph(name, precision, recipe);
  const graph = precision === 'bfloat16' ? autocast(forward, precision) : forward;
  const parameters = names.map((parameter) => graph.find(parameter));
  const gradients = gradient(graph.find('loss'), parameters);
  const { momentum, nesterov, weight_decay: weightDecay } = recipe;
  sgd({ momentum, nesterov, weightDecay }).update(graph, parameters, gradients, graph.input('lr', { shape: [1] }));

  const state = await device.createState(variablesOf(graph));
  const buffers = model.namedBuffers().map(([buffer]) => buffer);
  for (const variable of [...names, ...buffers]) {
    const { shape, dtype } = state.spec(variable);
    await state.write(variable, hostArrayOf(dtype).from(initialWeights(variable, shape)));
  }
  const keep = ['logits', 'loss', ...gradients.map((value) => value.name)];
  const program = await compile(graph, { device, state, keep });
  const lr = hostArrayOf(graph.dtype).of(recipe.lr);
  return {
    program,
    state,
    parameters: names,
    buffers,
    async step(images, labels) {
      await program.step({ images, labels, lr });
      return (await program.fetch('loss'))[0] as number;
    },
    close() {
      program.close();
      state.close();
    },
  };
}

function forwardGraph(name: string, precision: Precision, { batch, mean, std }: Recipe): Graph {
  const graph = new Graph({ dtype: precision === 'float64' ? 'float64' : 'float32', training: true });
  const images = graph.input('images', { shape: [batch, 32, 32, 3], dtype: 'uint8' });
  const labels = graph.input('labels', { shape: [batch], dtype: 'int32' });
  const logits = graph.name(createModel(name).call(augment(images, { mean, std })), 'logits');
  graph.name(softmaxCrossEntropy(logits, labels), 'loss');
  return graph;
}

/** The content of all these variables or kept values. */
export async function fetchAll(program: Program, names: readonly string[]): Promise<Map<string, HostArray>> {
  const found = new Map<string, HostArray>();
  for (const name of names) found.set(name, await program.fetch(name));
  return found;
}
