// What the networks of this folder have in common: a last layer that gives the logits.
import { ArgumentError } from '../graph/index.ts';
import { Conv2d, init, Linear, Module } from '../nn/index.ts';

/** A network from activations [N, C, H, W] to logits [N, numClasses]. */
export abstract class Classifier extends Module {
  /** Path of the layer that gives the logits. */
  abstract readonly headPath: string;

  /** Puts new, untrained layers for `numClasses` in the place of those that give logits. Returns this. */
  replaceHead(numClasses: number): this {
    replaceLayer(this, this.headPath, numClasses);
    return this;
  }
}

/** Replaces the layer at `path` by one of its kind with another number of outputs. */
export function replaceLayer(model: Module, path: string, outputs: number): void {
  const at = path.lastIndexOf('.');
  const parent = new Map(model.namedModules()).get(path.slice(0, Math.max(at, 0)));
  const name = path.slice(at + 1) as keyof Module;
  const layer: unknown = parent?.[name];
  if (!(layer instanceof Linear || layer instanceof Conv2d)) {
    throw new ArgumentError(`replaceHead: '${path}' is no linear layer or convolution; the model has no such head`);
  }
  Object.assign(parent as Module, { [name]: resized(layer, outputs) });
}

function resized(layer: Linear | Conv2d, outputs: number): Linear | Conv2d {
  const inputs = layer.weight.shape[1] as number;
  if (layer instanceof Linear) return new Linear(inputs, outputs);
  const conv = new Conv2d(inputs, outputs, 1, { initialiser: init.kaimingNormal() });
  if (conv.bias) conv.bias.initialiser = init.constant(0);
  return conv;
}
