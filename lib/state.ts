// What outlives a step, on a device.
import {
  ArgumentError,
  closest,
  elements,
  type Graph,
  type HostArray,
  hostArrayOf,
  type Initial,
  ShapeError,
  sameType,
  typeOf,
  typeText,
  type Value,
  type ValueType,
} from './graph/index.ts';
import type { NativeState } from './native.ts';

export interface VariableSpec extends ValueType {
  readonly name: string;
  readonly initial?: Initial | undefined;
}

/** The variables of all these graphs, by name; a name must mean the same type everywhere. */
export function variablesOf(...graphs: readonly Graph[]): VariableSpec[] {
  const found = new Map<string, Value>();
  for (const value of graphs.flatMap(({ variables }) => variables)) {
    const known = found.get(value.name);
    if (!known) found.set(value.name, value);
    else if (!sameType(known, value)) {
      throw new ShapeError(
        `variable '${value.name}' is ${typeText(known)} in one graph and ${typeText(value)} in another`,
      );
    }
  }
  return [...found.values()].map((value) => ({ ...typeOf(value), name: value.name, initial: value.initial }));
}

/** What outlives a step: parameters, running statistics, optimizer state, resident data. Shared by programs, by name. */
export class State {
  /** @internal The device that holds it. */
  readonly device: object;
  /** @internal */
  readonly handle: NativeState;
  readonly #variables: ReadonlyMap<string, VariableSpec & { readonly index: number }>;

  /** @internal */
  constructor(device: object, handle: NativeState, variables: readonly VariableSpec[]) {
    this.device = device;
    this.handle = handle;
    this.#variables = new Map(variables.map((variable, index) => [variable.name, { ...variable, index }]));
  }

  get names(): readonly string[] {
    return [...this.#variables.keys()];
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  spec(name: string): VariableSpec {
    return this.#variable(name);
  }

  /** @internal */
  index(name: string): number {
    return this.#variable(name).index;
  }

  /** The content, dense in logical order. */
  async read(name: string): Promise<HostArray> {
    return this.handle.read(this.#variable(name).index);
  }

  async write(name: string, data: HostArray): Promise<void> {
    const variable = this.#variable(name);
    checkArray(`variable '${name}'`, variable, data, 1);
    await this.handle.write(variable.index, data);
  }

  async readAll(): Promise<Map<string, HostArray>> {
    const content = new Map<string, HostArray>();
    for (const name of this.names) content.set(name, await this.read(name));
    return content;
  }

  close(): void {
    this.handle.close();
  }

  #variable(name: string): VariableSpec & { readonly index: number } {
    const variable = this.#variables.get(name);
    if (variable) return variable;
    throw new ArgumentError(`the state has no variable '${name}'${nearest(name, this.names)}`);
  }
}

/** What the variable holds before the first step, if it is not zero. */
export function contentOf(variable: VariableSpec, seed: number): HostArray | undefined {
  const { name, initial } = variable;
  if (initial === undefined) return undefined;
  const content = typeof initial === 'function' ? initial(seed) : initial;
  checkArray(`initial content of '${name}'`, variable, content, 1);
  return content;
}

/** `count` values of this type, as the typed array in which its dtype crosses. */
export function checkArray(what: string, type: ValueType, data: HostArray, count: number): void {
  const kind = hostArrayOf(type.dtype);
  const length = elements(type.shape) * count;
  if (data instanceof kind && data.length === length) return;
  const times = count === 1 ? '' : `${count} times `;
  const given = ArrayBuffer.isView(data) ? `${data.constructor.name} of ${(data as HostArray).length}` : typeof data;
  throw new ArgumentError(`${what}: expects ${times}${typeText(type)}, a ${kind.name} of ${length}, got ${given}`);
}

/** "; did you mean 'x'?", or nothing where there are no names. */
export function nearest(name: string, names: readonly string[]): string {
  const [best] = closest(name, names, 1);
  return best === undefined ? '' : `; did you mean '${best}'?`;
}
