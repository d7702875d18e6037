// Dynamic loss scaling, for float16: gradients that would vanish in half precision are kept by a factor on the loss,
// which adjusts itself (Micikevicius et al. 2018, section 3.2; torch.amp.GradScaler). All of it is nodes of the step.
import { copy, type Graph, gradient, type Node, rewrite, type Target, type Value } from '../graph/index.ts';
import { increment, restore, snapshot, unscale, updateLossScale } from '../ops/index.ts';
import type { State } from '../program.ts';

/** As torch.amp.GradScaler, whose defaults these are. */
export interface LossScaling {
  /** The scale at first. Default 65536. */
  readonly initial?: number;
  /** What the scale is multiplied by after `interval` steps in a row with finite gradients. Default 2. */
  readonly growth?: number;
  /** What it is multiplied by after a step with others. Default 0.5. */
  readonly backoff?: number;
  /** Default 2000. */
  readonly interval?: number;
}

const [scaleName, goodName, updatesName] = ['loss_scale.scale', 'loss_scale.good_steps', 'loss_scale.updates'];
const finiteName = 'loss_scale.finite';

/** The gradients of a step under a loss scale; the scale and its counters are variables of the step. */
export class LossScaler {
  /** int32 [1]: how many steps have changed the parameters. */
  readonly updates: Value;
  readonly #graph: Graph;
  readonly #scale: Value;
  readonly #options: LossScaling;

  constructor(graph: Graph, options: LossScaling = {}) {
    this.#graph = graph;
    this.#options = options;
    this.#scale = graph.variable(scaleName, { shape: [1], initial: Float32Array.of(options.initial ?? 65536) });
    this.updates = graph.variable(updatesName, { shape: [1], dtype: 'int32' });
  }

  /** As gradient(): the scale is the gradient of the loss, and is taken off each result. */
  gradients(loss: Value, wrt: readonly Value[]): Value[] {
    const { gradients, finite } = unscale(gradient(loss, wrt, this.#scale), this.#scale);
    this.#graph.name(finite, finiteName);
    return gradients;
  }

  /**
   * Call when all that the gradients change has been emitted. In the graph that it returns a step whose gradients are
   * not finite changes the scale and no other variable that was written so far.
   */
  finish(): Graph {
    increment(this.updates);
    const graph = undoneUnless(this.#graph, this.#graph.find(finiteName));
    const { growth = 2, backoff = 0.5, interval = 2000 } = this.#options;
    const goodSteps = graph.variable(goodName, { shape: [1], dtype: 'int32' });
    updateLossScale(graph.find(scaleName), graph.find(finiteName), { goodSteps, growth, backoff, interval });
    return graph;
  }
}

/**
 * The same step, which leaves its variables as they were where `finite` is 0. Those that are written before `finite` is
 * known (running statistics) are copied at the start; the others (parameters, the optimizer's memory) when it is known
 * and the activations are dead.
 */
function undoneUnless(source: Graph, finite: Value): Graph {
  const [begin, decided] = [source.nodes[0], finite.producer as Node];
  const place = source.nodes.indexOf(decided);
  const early = variablesWritten(source.nodes.slice(0, place));
  const late = variablesWritten(source.nodes.slice(place)).filter((variable) => !early.includes(variable));
  const copies: Value[] = [];
  const save = (variables: readonly Value[], { graph, map }: Target) => {
    if (variables.length > 0) copies.push(...graph.within('', () => snapshot(variables.map(map))));
  };
  const graph = rewrite(source, source.nodes, (node, target) => {
    if (node === begin) save(early, target);
    const results = copy(node, target);
    if (node === decided) save(late, target);
    return results;
  });
  const variables = [...early, ...late].map(({ name }) => graph.find(name));
  restore(variables, copies, graph.find(finite.name));
  return graph;
}

function variablesWritten(nodes: readonly Node[]): Value[] {
  const outputs = nodes.flatMap((node) => node.outputs);
  return [...new Set(outputs.filter(({ storage }) => storage === 'variable'))];
}

/** Of a run in float16. */
export interface LossScaleMetrics {
  /** After the last step. */
  readonly lossScale?: number;
  /** Steps since the start of the run that changed nothing but the scale. */
  readonly skippedSteps?: number;
}

/** Below it the loss's own gradient, 1, would be no normal float16: what is not finite then is no matter of the scale. */
const leastLossScale = 2 ** -14;
/** More than halving takes from the largest float32 to the least scale. */
const mostInRow = 200;

/** Steps that change nothing in a row, after which torch.amp.GradScaler would go on for ever; here the run ends. */
export class SkippedSteps {
  #before: number | undefined;
  #inRow = 0;

  /** What is wrong after `steps` more, in words; undefined where nothing is. */
  fault({ lossScale, skippedSteps }: LossScaleMetrics, steps: number): string | undefined {
    if (lossScale === undefined || skippedSteps === undefined) return undefined;
    const none = this.#before !== undefined && skippedSteps - this.#before === steps;
    this.#inRow = none ? this.#inRow + steps : 0;
    this.#before = skippedSteps;
    if (lossScale < leastLossScale) return 'gradients are not finite whatever the loss scale';
    if (this.#inRow < mostInRow) return undefined;
    return `gradients were not finite in the last ${this.#inRow} steps, and the loss scale is still ${lossScale},`;
  }
}

/** After `step` steps; empty in other precisions. */
export async function lossScaleMetrics(state: State, step: number): Promise<LossScaleMetrics> {
  if (!state.has(scaleName)) return {};
  const [scale, updates] = await Promise.all([state.read(scaleName), state.read(updatesName)]);
  return { lossScale: scale[0] as number, skippedSteps: step - (updates[0] as number) };
}
