// A model is a tree of modules. A module's place in the tree gives its path, and the path names its parameters, its
// nodes and its output: nothing is registered, and one model serves any number of graphs.
import {
  ArgumentError,
  closest,
  elements,
  type Format,
  type Graph,
  type HostArray,
  hostArrayOf,
  type Shape,
  type Value,
} from '../graph/index.ts';
import type { Initialiser } from './init.ts';
import { Random } from './random.ts';

type Named = Module | Tensor;

/** Paths of everything in the model whose forward() is running. */
let paths: ReadonlyMap<Named, string> | undefined;

export interface TensorOptions {
  readonly shape: Shape;
  readonly initialiser: Initialiser;
  readonly format?: Format;
}

abstract class Tensor {
  readonly shape: Shape;
  readonly format: Format;
  initialiser: Initialiser;

  constructor({ shape, initialiser, format = 'plain' }: TensorOptions) {
    this.shape = shape;
    this.format = format;
    this.initialiser = initialiser;
  }

  /** The variable of this name in the graph; for use inside forward(). */
  variable(graph: Graph): Value {
    const name = pathOf(this);
    const { shape, format } = this;
    return graph.variable(name, {
      shape,
      format,
      initial: (seed) => this.#content(graph.dtype, new Random(seed, name)),
    });
  }

  #content(dtype: 'float32' | 'float64', random: Random): HostArray {
    const next = this.initialiser(this.shape, random);
    const data = new (hostArrayOf(dtype))(elements(this.shape));
    for (let i = 0; i < data.length; i++) data[i] = next();
    return data;
  }
}

/** A tensor that training changes. */
export class Parameter extends Tensor {
  /** Set to false to leave it as it is: trainable parameters are those that get a gradient. */
  requiresGrad = true;
}

/** A tensor that belongs to the model without being trained, such as running statistics. */
export class Buffer extends Tensor {}

/**
 * A layer or a model. Children and parameters are the properties that hold them (arrays of modules count, #private
 * fields do not); their names are the property names, as in torch.nn.
 */
export abstract class Module {
  /** Set by freeze(): layers that act otherwise in training than elsewhere act here as elsewhere. */
  frozen = false;

  /** Builds the module's part of the graph; modules inside it are applied with call(). */
  abstract forward(x: Value, ...more: Value[]): Value;

  /** Applies the module: runs forward() under the module's path, and names the output by it. */
  call(x: Value, ...more: Value[]): Value {
    if (!paths) return this.#asRoot(x.graph, () => this.call(x, ...more));
    const path = pathOf(this);
    return x.graph.within(path, () => {
      const y = this.forward(x, ...more);
      return path ? x.graph.endPoint(y, path) : y;
    });
  }

  /** Direct children with their names. */
  children(): [name: string, child: Module][] {
    return Object.entries(this).flatMap(([name, value]): [string, Module][] => {
      if (value instanceof Module) return [[name, value]];
      if (!Array.isArray(value)) return [];
      return value.flatMap((item, i): [string, Module][] => (item instanceof Module ? [[`${name}.${i}`, item]] : []));
    });
  }

  /** This module (named '') and all below it, parents first; a module that is used twice is listed once. */
  namedModules(): [name: string, module: Module][] {
    const found = new Map<Module, string>();
    collect(this, '', found);
    return [...found].map(([module, name]) => [name, module]);
  }

  /** Names of outputs, in order: a graph that the model was applied to finds, keeps and fetches each by its name. */
  get endPoints(): string[] {
    return this.children().map(([name]) => name);
  }

  /** Outputs whose losses training adds to that of the logits: end points of a training graph, with their weights. */
  get auxiliary(): Readonly<Record<string, number>> {
    return {};
  }

  /**
   * Takes the named parts (without names: all) out of training: their parameters get no gradient, and batch normalisation
   * goes by its running statistics. Names as in namedModules(), such as 'layer1'. Returns this.
   */
  freeze(...names: string[]): this {
    for (const name of names.length > 0 ? names : ['']) {
      const part = this.#part('freeze', name);
      for (const [, module] of part.namedModules()) module.frozen = true;
      for (const [, parameter] of part.namedParameters()) parameter.requiresGrad = false;
    }
    return this;
  }

  /** Freezes all that stands before the named part. Returns this. */
  freezeUntil(name: string): this {
    this.#part('freezeUntil', name);
    const names = this.namedModules().map(([path]) => path);
    const before = names.slice(0, names.indexOf(name)).filter((path) => path !== '' && !name.startsWith(`${path}.`));
    return before.length > 0 ? this.freeze(...before) : this;
  }

  #part(what: string, name: string): Module {
    const parts = new Map(this.namedModules());
    const part = parts.get(name);
    if (part) return part;
    const near = closest(name, parts.keys()).map((path) => `'${path}'`);
    throw new ArgumentError(`${what}: no part of the model is called '${name}'; the nearest names: ${near.join(', ')}`);
  }

  namedParameters(): [name: string, parameter: Parameter][] {
    return this.#tensors(Parameter);
  }

  namedBuffers(): [name: string, buffer: Buffer][] {
    return this.#tensors(Buffer);
  }

  #tensors<T extends Tensor>(kind: abstract new (...options: never[]) => T): [string, T][] {
    const found = new Map<T, string>();
    for (const [path, module] of this.namedModules()) {
      for (const [name, value] of Object.entries(module)) {
        if (value instanceof kind && !found.has(value)) found.set(value, join(path, name));
      }
    }
    return [...found].map(([tensor, name]) => [name, tensor]);
  }

  #asRoot<T>(graph: Graph, fn: () => T): T {
    const named: [string, Named][] = [...this.namedModules(), ...this.namedParameters(), ...this.namedBuffers()];
    paths = new Map(named.map(([name, item]) => [item, join(graph.path, name)]));
    try {
      return fn();
    } finally {
      paths = undefined;
    }
  }
}

/** Modules applied one after the other, named by their place: '0', '1', ... */
export class Sequential extends Module {
  readonly modules: readonly Module[];

  constructor(...modules: Module[]) {
    super();
    this.modules = modules;
  }

  override children(): [string, Module][] {
    return this.modules.map((module, i) => [String(i), module]);
  }

  override forward(x: Value): Value {
    return this.modules.reduce((value, module) => module.call(value), x);
  }
}

function collect(module: Module, path: string, found: Map<Module, string>): void {
  if (found.has(module)) return;
  found.set(module, path);
  for (const [name, child] of module.children()) collect(child, join(path, name), found);
}

function pathOf(item: Named): string {
  const path = paths?.get(item);
  if (path !== undefined) return path;
  const kind = item.constructor.name;
  throw new ArgumentError(
    `${kind} is not part of the model that is being applied: keep it in a property of its module, ` +
      'made in the constructor (not in a #private field or a local variable), and apply the model with call()',
  );
}

function join(path: string, name: string): string {
  return path && name ? `${path}.${name}` : path + name;
}
