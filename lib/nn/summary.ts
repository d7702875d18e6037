import { denseBytes, elements, Graph, multiplyAdds, type Shape } from '../graph/index.ts';
import type { Module } from './module.ts';

export interface LayerSummary {
  readonly name: string;
  /** Class of the module. */
  readonly type: string;
  readonly outputShape: Shape;
  /** Trainable numbers of this layer alone. */
  readonly parameters: number;
}

export interface EndPoint {
  readonly name: string;
  readonly shape: Shape;
}

export interface ModelSummary {
  readonly parameters: number;
  /** Numbers that belong to the model without being trained. */
  readonly buffers: number;
  /** Of one forward pass, in convolutions and matrix products. */
  readonly multiplyAdds: number;
  /** float32 outputs of all ops of one forward pass in training, before any of them is reused. */
  readonly activationBytes: number;
  readonly layers: readonly LayerSummary[];
  /** What can be fetched by name, without the parts that this graph has no use for. */
  readonly endPoints: readonly EndPoint[];
}

/** What a model is and costs for one batch of activations [N, C, H, W]. */
export function summarise(model: Module, inputShape: Shape): ModelSummary {
  const graph = new Graph({ training: true });
  model.call(graph.input('input', { shape: inputShape, format: 'activation' }));
  const outputs = graph.values.filter((value) => value.storage === 'temporary');
  return {
    parameters: count(model.namedParameters()),
    buffers: count(model.namedBuffers()),
    multiplyAdds: graph.nodes.reduce((sum, node) => sum + multiplyAdds(node), 0),
    activationBytes: outputs.reduce((sum, value) => sum + denseBytes(value), 0),
    endPoints: model.endPoints
      .filter((name) => graph.has(name))
      .map((name) => ({ name, shape: graph.find(name).shape })),
    layers: model.namedModules().flatMap(([name, module]) => layer(graph, name, module)),
  };
}

function layer(graph: Graph, name: string, module: Module): LayerSummary[] {
  const ownOutput =
    graph.has(name) && !module.children().some(([child]) => graph.has(name ? `${name}.${child}` : child));
  if (!ownOutput) return [];
  const { shape } = graph.find(name);
  return [{ name, type: module.constructor.name, outputShape: shape, parameters: count(module.namedParameters()) }];
}

function count(tensors: readonly (readonly [string, { readonly shape: Shape }])[]): number {
  return tensors.reduce((sum, [, { shape }]) => sum + elements(shape), 0);
}
