// A step as a list of typed nodes, in execution order. Values are single assignment, except variables, which a node may
// read and write in place. Nothing is computed here.
import { ArgumentError, closest, ShapeError } from './errors.ts';
import {
  type DType,
  dtypes,
  elements,
  type Format,
  formats,
  type HostArray,
  sameType,
  typeOf,
  typeText,
  type ValueType,
} from './types.ts';

export type Attribute = number | boolean | string | readonly number[];
export type Attributes = Readonly<Record<string, Attribute>>;

/** Content of a variable before the first step; the function form is called when a state is created, with its seed. */
export type Initial = HostArray | ((seed: number) => HostArray);

export interface Value extends ValueType {
  readonly graph: Graph;
  readonly id: number;
  /** The first of its names; `graph.find` knows it by each. */
  readonly name: string;
  readonly storage: 'input' | 'variable' | 'temporary';
  /** The node that writes it; undefined for inputs and variables. */
  readonly producer: Node | undefined;
  readonly initial: Initial | undefined;
}

export interface Node {
  readonly op: string;
  /** Layer path, for people. */
  readonly path: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

export interface GraphOptions {
  /** Of parameters and activations; float64 is for finite differences on the reference device. */
  readonly dtype?: 'float32' | 'float64';
  /** Whether layers use batch statistics and update running ones. */
  readonly training?: boolean;
}

export interface InputOptions {
  readonly shape: readonly number[];
  readonly dtype?: DType;
  readonly format?: Format;
}

export interface VariableOptions extends InputOptions {
  readonly initial?: Initial;
}

type MutableValue = { -readonly [K in keyof Value]: Value[K] };

const maximumElements = 2 ** 31 - 1;

export class Graph {
  readonly dtype: 'float32' | 'float64';
  readonly training: boolean;
  readonly #values: MutableValue[] = [];
  readonly #nodes: Node[] = [];
  #names = new Map<string, MutableValue>();
  /** Values whose name is made up from the op; the first given name replaces it. */
  readonly #unnamed = new Set<MutableValue>();
  #path = '';

  constructor({ dtype = 'float32', training = false }: GraphOptions = {}) {
    if (dtype !== 'float32' && dtype !== 'float64') {
      throw new ArgumentError(
        `Graph: dtype must be 'float32' or 'float64', got ${String(dtype)}; for bfloat16 and float16: autocast()`,
      );
    }
    this.dtype = dtype;
    this.training = training;
  }

  get values(): readonly Value[] {
    return this.#values;
  }

  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  get inputs(): readonly Value[] {
    return this.#values.filter((value) => value.storage === 'input');
  }

  get variables(): readonly Value[] {
    return this.#values.filter((value) => value.storage === 'variable');
  }

  /** The layer path in force. */
  get path(): string {
    return this.#path;
  }

  /** Every name with its value; a value may have several. */
  get names(): ReadonlyMap<string, Value> {
    return this.#names;
  }

  /** A value that the caller writes before each step. */
  input(name: string, { shape, dtype = this.dtype, format = 'plain' }: InputOptions): Value {
    return this.#add('input', { shape, dtype, format }, `input '${name}'`, this.#free(name));
  }

  /** A value that outlives the step, shared by name between programs. Asking again with the same type gives the same value. */
  variable(name: string, { shape, dtype = this.dtype, format = 'plain', initial }: VariableOptions): Value {
    const known = this.#names.get(name);
    if (known?.storage === 'variable') {
      if (sameType(known, { shape, dtype, format })) return known;
      const wanted = typeText({ shape, dtype, format });
      throw new ShapeError(`variable '${name}': is ${typeText(known)} already, cannot also be ${wanted}`);
    }
    return this.#add('variable', { shape, dtype, format }, `variable '${name}'`, this.#free(name), initial);
  }

  /** Appends a node. An output is the type of a new value, or a variable that the node reads and writes in place. */
  emit(
    op: string,
    inputs: readonly Value[],
    outputs: readonly (ValueType | Value)[],
    attributes: Attributes = {},
  ): Value[] {
    for (const value of [...inputs, ...outputs]) this.#own(op, value);
    for (const output of outputs) {
      if ('graph' in output && output.storage !== 'variable') {
        throw new ArgumentError(
          `${this.where(op)}: only variables are written in place, not ${output.storage} '${output.name}'`,
        );
      }
    }
    const results = outputs.map((output) => ('graph' in output ? output : this.#temporary(op, output)));
    const node: Node = { op, path: this.#path, inputs: [...inputs], outputs: results, attributes };
    for (const value of results) {
      if (value.storage === 'temporary') (value as MutableValue).producer = node;
    }
    this.#nodes.push(node);
    return results;
  }

  /** Runs `fn` with `name` appended to the layer path. */
  scope<T>(name: string, fn: () => T): T {
    return this.within(this.#path && name ? `${this.#path}.${name}` : this.#path + name, fn);
  }

  /** Runs `fn` with the given absolute layer path. */
  within<T>(path: string, fn: () => T): T {
    const outer = this.#path;
    this.#path = path;
    try {
      return fn();
    } finally {
      this.#path = outer;
    }
  }

  /** Gives a value a name of the caller's choice, by which it can be found, kept and fetched. */
  name(value: Value, name: string): Value {
    this.#own('name', value);
    if (this.#names.get(name) === value) return value;
    return this.#alias(value as MutableValue, this.#free(name));
  }

  /** Names a layer's output by the layer's path; a second output of the same layer gets a suffix. */
  endPoint(value: Value, path: string): Value {
    return this.#names.get(path) === value ? value : this.#alias(value as MutableValue, this.#unique(path));
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  find(name: string): Value {
    const value = this.#names.get(name);
    if (value) return value;
    const near = closest(name, this.#names.keys());
    throw new ArgumentError(`no value is called '${name}'; the nearest names: ${near.map((n) => `'${n}'`).join(', ')}`);
  }

  /** Replaces all names by these; values that are left out get made-up ones. For passes that rebuild a graph. */
  rename(names: Iterable<readonly [string, Value]>): void {
    this.#names = new Map();
    this.#unnamed.clear();
    const named = new Set<Value>();
    for (const [name, value] of names) {
      this.#names.set(name, value as MutableValue);
      if (!named.has(value)) (value as MutableValue).name = name;
      named.add(value);
    }
    for (const value of this.#values) {
      if (!named.has(value))
        this.#label(value, this.#unique(madeUpName(value.producer?.op ?? value.name, value.producer?.path ?? '')));
    }
  }

  /** How errors name an op at this place: `conv2d layer3.0.conv2`. */
  where(op: string): string {
    return this.#path ? `${op} ${this.#path}` : op;
  }

  #temporary(op: string, type: ValueType): MutableValue {
    const value = this.#add('temporary', type, this.where(op), this.#unique(madeUpName(op, this.#path)));
    this.#unnamed.add(value);
    return value;
  }

  #add(storage: Value['storage'], type: ValueType, where: string, name: string, initial?: Initial): MutableValue {
    checkType(type, where);
    const id = this.#values.length;
    const value: MutableValue = { graph: this, id, name, storage, producer: undefined, initial, ...typeOf(type) };
    this.#values.push(value);
    return this.#label(value, name);
  }

  #label(value: MutableValue, name: string): MutableValue {
    value.name = name;
    this.#names.set(name, value);
    return value;
  }

  #alias(value: MutableValue, name: string): Value {
    if (!this.#unnamed.delete(value)) {
      this.#names.set(name, value);
      return value;
    }
    this.#names.delete(value.name);
    return this.#label(value, name);
  }

  #own(what: string, value: ValueType | Value): void {
    if ('graph' in value && value.graph !== this) {
      throw new ArgumentError(`${this.where(what)}: '${value.name}' belongs to another graph`);
    }
  }

  #free(name: string): string {
    if (typeof name !== 'string' || name === '')
      throw new ArgumentError(`a name must be a non-empty string, got ${String(name)}`);
    if (this.#names.has(name)) throw new ArgumentError(`the name '${name}' is taken in this graph; choose another`);
    return name;
  }

  #unique(name: string): string {
    let unique = name;
    for (let i = 1; this.#names.has(unique); i++) unique = `${name}_${i}`;
    return unique;
  }
}

function madeUpName(op: string, path: string): string {
  return path ? `${path}.${op}` : op;
}

function checkType({ shape, dtype, format }: ValueType, where: string): void {
  if (!dtypes.includes(dtype))
    throw new ArgumentError(`${where}: there is no dtype '${dtype}'; all: ${dtypes.join(', ')}`);
  if (!formats.includes(format)) {
    throw new ArgumentError(`${where}: there is no format '${format}'; all: ${formats.join(', ')}`);
  }
  const bad = shape.find((size) => !Number.isInteger(size) || size < 1);
  if (bad !== undefined) {
    throw new ShapeError(
      `${where}: every size of a shape is a positive integer, got ${String(bad)} in [${shape.join(',')}]`,
    );
  }
  if (format !== 'plain' && shape.length !== 4) {
    throw new ShapeError(
      `${where}: a value of format '${format}' has 4 axes, got ${shape.length} in [${shape.join(',')}]`,
    );
  }
  if (elements(shape) > maximumElements) {
    throw new ShapeError(
      `${where}: [${shape.join(',')}] has ${elements(shape)} elements, more than 2^31 - 1; use a smaller batch`,
    );
  }
}
